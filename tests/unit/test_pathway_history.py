"""The walk back through predecessors, and what a trace keeps of what was said of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lakehouse.memory.entry import Entry
from lakehouse.pathway.book import PathwayBook
from lakehouse.pathway.history import history_of
from lakehouse.pathway.trace import _CHANGES_KEPT, ADD, UPDATE
from tests.fakes.trace_index import KeptTraces
from tests.property.test_pathway_book import UNIT, make


def book_of(*entries: Entry) -> PathwayBook:
    book = PathwayBook(KeptTraces(), embedder="fake", embed=lambda texts: np.stack([UNIT for _ in texts]))
    book.apply(entries)
    return book


def added(n: int, uid: str, predecessor: str | None = None) -> Entry:
    return make(n, (ADD, uid, f'"content {n}"', [], predecessor))


@pytest.mark.parametrize(
    ("entries", "walked", "stopped_by"),
    [
        ([("a", None), ("b", "a"), ("c", "b")], ["c", "b", "a"], None),
        ([("c", None)], ["c"], None),
        ([("c", "gone")], ["c"], "missing"),
        ([("b", "gone"), ("c", "b")], ["c", "b"], "missing"),
        ([("c", "c")], ["c"], "cycle"),
        ([("a", "c"), ("b", "a"), ("c", "b")], ["c", "b", "a"], "cycle"),
    ],
)
def test_walk_ends_at_the_first_a_cycle_or_a_gap(entries: Any, walked: list[str], stopped_by: str | None) -> None:
    book = book_of(*(added(n, uid, predecessor) for n, (uid, predecessor) in enumerate(entries, 1)))
    trace = book.get("c")
    assert trace is not None
    history = history_of(book, trace)
    assert [t.uid for t in history.traces] == walked
    assert history.stopped_by == stopped_by


def test_changes_are_of_the_whole_walk_oldest_first() -> None:
    book = book_of(added(1, "a"), added(2, "b", "a"), make(3, (UPDATE, "a", '"late"', None, None)))
    trace = book.get("b")
    assert trace is not None
    assert [(uid, c.event) for uid, c in history_of(book, trace).changes] == [
        ("a", "add"),
        ("b", "add"),
        ("a", "update"),
    ]


def test_many_updates_keep_the_newest_and_count_the_rest() -> None:
    updates = [make(n, (UPDATE, "a", f'"version {n}"', None, None)) for n in range(2, _CHANGES_KEPT + 12)]
    book = book_of(added(1, "a"), *reversed(updates))
    trace = book.get("a")
    assert trace is not None
    history = history_of(book, trace)
    assert (len(history.changes), history.changes_dropped) == (_CHANGES_KEPT, 11)
    assert history.changes[-1][1].content == trace.content == f'"version {_CHANGES_KEPT + 11}"'
