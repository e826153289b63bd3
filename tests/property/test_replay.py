"""Whatever stands in files of replays: it is read, or refused with its place; scores stay what they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.errors import BadInput
from lakehouse.promotion.rules import read_rules
from lakehouse.promotion.split import is_held_out, question_key
from lakehouse.replay.arms import read_arms
from lakehouse.replay.cut import Cut, parse_cut
from lakehouse.replay.exchange import ExchangedObject, kind_of, read_object
from lakehouse.replay.matching import Said, check_expected, match_of
from lakehouse.replay.task import read_tasks

TEXT = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["task_id", "question", "corpora", "expected", "filter", "exclude_ids", "validate", "budget_tokens", "max_tokens"]
)
EXPECTED = st.one_of(
    st.text(min_size=1, max_size=20),
    st.builds(lambda ids, every: {"ids": ids, "all": every}, st.lists(TEXT, min_size=1, max_size=3), st.booleans()),
    st.builds(lambda phrases: {"contains": phrases}, st.lists(TEXT, min_size=1, max_size=3)),
    st.builds(lambda number: {"number": number}, st.integers(-9999, 9999)),
    st.just({"abstains": True}),
    st.dictionaries(st.sampled_from(["text", "ids", "contains", "number", "abstains", "all"]), JSON, max_size=2),
)


def refused(read: Callable[[], Any]) -> tuple[Any, str]:
    """What is read, or why it is refused; any other error is the test's failure."""
    try:
        return read(), ""
    except BadInput as error:
        return None, error.detail


@settings(max_examples=60)
@given(st.dictionaries(FIELDS, JSON, max_size=9))
def test_any_task_is_read_or_refused_with_its_line(document: dict[str, Any]) -> None:
    line = orjson.dumps({"task_id": "t", "question": "Who?", "corpora": ["w"], **document})
    tasks, told = refused(lambda: read_tasks([line], name="f"))
    assert tasks is not None or "f, line 1" in told
    if tasks is not None:
        assert read_tasks([orjson.dumps(tasks[0].to_document())], name="f") == tasks


@settings(max_examples=60)
@given(EXPECTED, st.none() | st.text(max_size=60), st.lists(TEXT, max_size=3), st.booleans())
def test_scores_are_shares_and_exact_is_a_whole_one(
    expected: Any, text: str | None, named: list[str], abstains: bool
) -> None:
    try:
        check_expected(expected)
    except BadInput:
        return
    match = match_of(expected, Said(text, named, is_abstention=abstains))
    assert match is not None
    assert 0 <= match.score <= 1
    if match.exact:
        assert match.score == 1 or not str(expected).strip() or isinstance(expected, str) or "text" in expected


@settings(max_examples=40)
@given(st.one_of(TEXT, JSON.map(lambda value: orjson.dumps(value).decode())))
def test_any_file_of_arms_or_rules_is_read_or_refused(text: str) -> None:
    for read in (read_arms, read_rules):
        found, told = refused(lambda read=read: read(text, name="f"))
        assert found is not None or "f, line " in told


@settings(max_examples=40)
@given(JSON, st.dictionaries(TEXT, st.integers(1, 99), max_size=2))
def test_any_cut_is_read_or_refused(document: Any, datasets: dict[str, int]) -> None:
    try:
        cut = parse_cut(document)
    except BadInput:
        cut = Cut(datasets, {name: f"{n:06d}.{n:012d}" for name, n in datasets.items()}, dict.fromkeys(datasets, ""))
    assert parse_cut(orjson.loads(orjson.dumps(cut.to_document()))) == cut


@settings(max_examples=60)
@given(st.text(max_size=40), st.text(max_size=40))
def test_lines_of_the_exchange_come_back_or_are_refused(key: str, text: str) -> None:
    assert kind_of(key) in {None, "replay", "baseline"}
    body = text.encode("utf-8", "replace")
    one = ExchangedObject("replay", "replay/b/verdict.md", body)
    assert read_object(one.to_json(), number=1) == one
    found, told = refused(lambda: read_object(body, number=3))
    assert found is not None or "line 3" in told


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["Who", "can", "weld", "in", "Ohio", "17"]), min_size=1, max_size=6))
def test_a_question_stays_on_its_side(words: list[str]) -> None:
    plain, shouted = " ".join(words), f"  {'... '.join(words).upper()}?!"
    assert question_key(plain) == question_key(shouted)
    assert is_held_out(plain) == is_held_out(shouted)
