"""Trace ids: what is signed is read back, anything else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import NotFound
from lakehouse.retrieval.trace import Shown, Trace, TraceSigner

KEY = b"k" * 32
TRACE = Trace("run-1", "playbook", "search/3", (Shown("workers", "w-17", ("p1", "p2")), Shown("notes", "ü|\n")))


def test_trace_is_read_back_whole() -> None:
    assert TraceSigner(KEY).read(TraceSigner(KEY).sign(TRACE)) == TRACE


def test_token_of_another_key_is_refused() -> None:
    with pytest.raises(NotFound, match="trace_id"):
        TraceSigner(b"x" * 32).read(TraceSigner(KEY).sign(TRACE))


@given(st.integers(0, 400), st.characters())
def test_changed_token_is_refused(position: int, letter: str) -> None:
    token = TraceSigner(KEY).sign(TRACE)
    at = position % len(token)
    changed = token[:at] + letter + token[at + 1 :]
    if changed == token:
        return
    with pytest.raises(NotFound):
        TraceSigner(KEY).read(changed)


@pytest.mark.parametrize("token", ["", ".", "a.b", "é.é", "x" * 100_000, "\ud800.a"])
def test_rubbish_is_refused(token: str) -> None:
    with pytest.raises(NotFound):
        TraceSigner(KEY).read(token)
