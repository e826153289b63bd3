"""Subjects told from memory: one that was added is always known, whatever else is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lakehouse.memory.subjects import KnownSubjects


@given(st.lists(st.lists(st.text())), st.lists(st.text()))
def test_what_was_added_is_known_and_order_stays(added: list[list[str]], asked: list[str]) -> None:
    known = KnownSubjects()
    for some in added:
        known.add(some)
    everything = {subject for some in added for subject in some}
    found = known.may_have(asked)
    assert [subject for subject in asked if subject in everything] == [s for s in found if s in everything]
    assert all(subject in asked for subject in found)
    assert len(known) <= len(everything)


def test_nothing_is_known_at_first() -> None:
    assert KnownSubjects().may_have(["a", "b"]) == []
