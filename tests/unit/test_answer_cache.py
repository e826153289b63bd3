"""Kept answers: found under the same key while they are young, the least used go first, some are never kept."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from lakehouse.retrieval.answer_cache import AnswerCache, key_bytes, key_of
from lakehouse.retrieval.matrix import Candidate, Merged
from lakehouse.retrieval.search_answer import Answered, Result, answered_bytes
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
    cache.put(("a",), "one")
    clock.now = 30
    assert cache.get(("a",)) == "one"
    clock.now = 30.1
    assert cache.get(("a",)) is None


def test_least_used_goes_first() -> None:
    cache = AnswerCache[int](most=2)
    for number, key in enumerate("ab"):
        cache.put((key,), number)
    assert cache.get(("a",)) == 0
    cache.put(("c",), 2)
    assert [cache.get((key,)) for key in "abc"] == [0, None, 2]


def test_what_is_kept_takes_no_more_than_it_may() -> None:
    clock = Clock()
    cache = AnswerCache[int](most_bytes=100, clock=clock)
    for number, key in enumerate("abc"):
        cache.put((key,), number, size_bytes=30)
    assert cache.get(("a",)) == 0
    cache.put(("d",), 3, size_bytes=50)
    assert [cache.get((key,)) for key in "abcd"] == [0, None, None, 3]
    assert (len(cache), cache.size_bytes) == (2, 80)
    cache.put(("d",), 4, size_bytes=10)
    assert (len(cache), cache.size_bytes) == (2, 40)
    cache.put(("e",), 5, size_bytes=101)  # larger than all may be: it would push out everything
    assert (cache.get(("e",)), len(cache), cache.size_bytes) == (None, 2, 40)
    clock.now = 31
    assert cache.get(("a",)) is None
    assert (len(cache), cache.size_bytes) == (1, 10)
    cache.put(("f",), 6, revision=1, size_bytes=20)
    assert (len(cache), cache.size_bytes) == (1, 20)


def test_what_an_answer_takes_follows_its_metadata_and_its_key() -> None:
    def answer(n: int, size: int) -> Answered:
        found = [Candidate("notes", row, str(row), 1.0, 0.5) for row in range(n)]
        return Answered([Result(one, b"x" * size) for one in found], Merged(found, {}), b"")

    assert answered_bytes(answer(10, 700)) - answered_bytes(answer(10, 200)) == 2 * 10 * 500
    assert answered_bytes(answer(100, 0)) - answered_bytes(answer(0, 0)) >= 100 * 500

    def key(**change: object) -> int:
        made = key_of(replace(ASKED, **change), has_pii=False, k=10, state=("1",))  # type: ignore[arg-type]
        assert made is not None
        return key_bytes(made)

    assert key(query="n" * 10_000) - key() > 9_000
    assert key(filter={"state": "O" * 10_000}) - key() > 9_000
    assert key(playbook={"note": "x" * 10_000}) - key() > 9_000
    assert key(exclude_ids=[str(n) for n in range(1000)]) - key() > 50_000


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
