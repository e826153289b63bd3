"""What a line keeps of what a run was asked with, and what of it a replay takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.adapters.replay_tasks import as_asked, askable
from lakehouse.answer.bundle import Bundle
from lakehouse.answer.found import Found, context_of
from lakehouse.answer.request import AnswerRequest
from lakehouse.chat.call_log import without_texts
from lakehouse.replay.task import ReplayTask
from lakehouse.retrieval.asked import MOST_BYTES, asked_with, read_asked
from tests.fakes.objects import MemoryObjects

BARE = ReplayTask("q", "Who?", ("crew",), {"ids": ["1"]}, replay_of="run-1")
LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


def kept(**said: Any) -> str:
    return orjson.dumps(asked_with(**said)).decode()


def test_request_without_anything_is_known_to_have_had_nothing() -> None:
    assert asked_with(filter=None, exclude_ids=[]) == {"is_whole": True}
    task = as_asked(BARE, kept(filter=None, exclude_ids=[]))
    assert (task.filter, task.exclude_ids, task.as_asked) == (None, (), True)


def test_line_of_an_answer_holds_all_that_a_task_takes() -> None:
    request = AnswerRequest(
        "Who?", ["crew"], budget_tokens=300, max_tokens=20, filter={"state": "OH"}, exclude_ids=("9",),
        validate_kind="fill", validate_context={"target_count": 1},
    )  # fmt: skip
    line = context_of(request, Found(Bundle("", (), 0, 0), None))
    task = as_asked(BARE, orjson.dumps(line["asked"]).decode())
    assert task == ReplayTask(
        "q", "Who?", ("crew",), {"ids": ["1"]}, {"state": "OH"}, ("9",), "fill", {"target_count": 1}, 300, 20, "run-1",
        True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "said",
    [
        {"validate": {"kind": "sms", "context": {"to": "+16145550123", "note": "SSN 219-09-9999"}}},
        {"filter": {"ssn": "219-09-9999"}},
        {"exclude_ids": [f"w-{n}" for n in range(MOST_BYTES)]},
        {"filter": {"name": "x" * MOST_BYTES}},
        {"filter": {"n": 2**70}},
        {"filter": {"name": "\ud800"}},
    ],
)
def test_what_is_masked_or_too_long_is_not_asked_again_as_if_it_were_all(said: dict[str, Any]) -> None:
    line = kept(**said)
    assert len(line) <= MOST_BYTES + 100
    assert "219-09-9999" not in line
    task = as_asked(BARE, line)
    assert (task.as_asked, task.filter, task.validate_kind) == (False, None, None)


@pytest.mark.parametrize(
    "line", [None, "null", "3", "[]", "{}", '{"is_whole": "true"}', '{"is_whole": true, "exclude_ids": 3}',
             '{"is_whole": true, "validate": {"kind": 3}}'],
)  # fmt: skip
def test_lines_of_others_are_asked_without(line: str | None) -> None:
    assert as_asked(BARE, line) == ReplayTask("q", "Who?", ("crew",), {"ids": ["1"]}, replay_of="run-1", as_asked=False)


def test_fill_waits_for_workers_that_it_is_checked_against() -> None:
    """Else every such task would fail as if the provider had, and the batch would never end."""
    can_be_asked = askable(MemoryObjects())
    fill = replace(BARE, corpora=(), validate_kind="fill")
    assert (can_be_asked(fill), can_be_asked(replace(fill, validate_kind="sms"))) == (False, True)
    assert not can_be_asked(BARE)  # its corpus is gone


def test_line_that_is_too_large_loses_what_people_wrote() -> None:
    assert "asked" not in without_texts({"run_id": "a", "asked": asked_with(filter={"name": "Ana Ruiz"})})


@given(JSON)
def test_whatever_is_kept_whole_is_what_was_asked(filter_: Any) -> None:
    line = orjson.loads(kept(filter=filter_))
    known = read_asked(line)
    if known is not None:
        assert known.get("filter") == filter_ or filter_ == []
