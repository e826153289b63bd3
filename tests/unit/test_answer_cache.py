"""Kept answers: found under the same key while they are young, the least used go first, some are never kept."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from lakehouse.retrieval.answer_cache import AnswerCache, key_of
from lakehouse.retrieval.search_request import SearchRequest

ASKED = SearchRequest("nurse", ["notes"], filter={"state": "OH"})


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_answer_is_found_until_it_is_old() -> None:
    clock = Clock()
    cache = AnswerCache[str](keep_s=30, clock=clock)
    cache.put("a", "one")
    clock.now = 30
    assert cache.get("a") == "one"
    clock.now = 30.1
    assert cache.get("a") is None


def test_least_used_goes_first() -> None:
    cache = AnswerCache[int](most=2)
    for number, key in enumerate("ab"):
        cache.put(key, number)
    assert cache.get("a") == 0
    cache.put("c", 2)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (0, None, 2)


def test_nothing_is_kept_without_a_key() -> None:
    cache = AnswerCache[int]()
    cache.put(None, 1)
    assert cache.get(None) is None


def test_same_request_of_the_same_state_has_the_same_key() -> None:
    first = key_of(ASKED, has_pii=False, k=10, state=("1",))
    assert first == key_of(replace(ASKED, filter={"state": "OH"}), has_pii=False, k=10, state=("1",))


@pytest.mark.parametrize(
    ("change", "has_pii", "state"),
    [
        ({"query": "Nurse"}, False, ("1",)),
        ({"filter": {"state": "PA"}}, False, ("1",)),
        ({"filter": None}, False, ("1",)),
        ({"exclude_ids": ["x"]}, False, ("1",)),
        ({"corpora": ["notes", "workers"]}, False, ("1",)),
        ({"playbook": {"top_k": 1}}, False, ("1",)),
        ({"model": "gpt"}, False, ("1",)),
        ({"mode": "text"}, False, ("1",)),
        ({"threshold": 0.1}, False, ("1",)),
        ({}, True, ("1",)),
        ({}, False, ("2",)),
    ],
)
def test_anything_else_has_another_key(change: dict[str, object], has_pii: bool, state: tuple[str]) -> None:
    other = key_of(replace(ASKED, **change), has_pii=has_pii, k=10, state=state)  # type: ignore[arg-type]
    assert other != key_of(ASKED, has_pii=False, k=10, state=("1",))


def test_sql_filters_and_exports_are_not_kept() -> None:
    assert key_of(replace(ASKED, sql_filter="a > 1"), has_pii=False, k=10, state=()) is None
    assert key_of(ASKED, has_pii=False, k=101, state=()) is None
    assert key_of(replace(ASKED, exclude_ids=["x"] * 1001), has_pii=False, k=10, state=()) is None


def test_answers_of_an_earlier_revision_make_room_for_those_of_a_later_one() -> None:
    cache = AnswerCache[int]()
    for n in range(6):
        cache.put(("early", n), n, revision=1)
    cache.put(("late", 0), 0, revision=2)
    assert [cache.get(("early", n)) for n in range(6)] == [None, None, 2, 3, 4, 5]
    cache.put(("overtaken", 0), 0, revision=1)
    for n in range(3):
        cache.put(("late", n), n, revision=2)
    assert [cache.get(("early", n)) for n in range(6)] == [None] * 6
    assert cache.get(("overtaken", 0)) is None
    assert [cache.get(("late", n)) for n in range(3)] == [0, 1, 2]
