"""Near twins: merged into the older entry, some at a time, and never lost when the log fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from lakehouse.errors import StoreUnavailable
from lakehouse.memory.entry import Entry, Order
from lakehouse.retrieval.playbook import MERGE, RECORD, PlaybookBook
from lakehouse.retrieval.playbook_twins import PlaybookTwins
from tests.fakes.entry_index import FlatIndex

WRITER = "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c"


def letters(texts: Sequence[str]) -> Any:
    """Embeds by counts of letters."""
    counts = np.array([[t.lower().count(c) + 0.01 for c in "abcdefghijklmnopqrstuvwxyz"] for t in texts], np.float32)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


@dataclass
class Lake:
    """A book with a log that applies at once."""

    book: PlaybookBook = field(default_factory=lambda: PlaybookBook(FlatIndex(), embedder="letters", embed=letters))
    entries: list[Entry] = field(default_factory=list)
    is_down: bool = False

    def append(self, op: str, payload: dict[str, Any], *, actor: str) -> Entry:
        if self.is_down:
            raise StoreUnavailable("the store is away")
        n = len(self.entries) + 1
        entry = Entry(f"op-{n}", Order(n, WRITER, n, 0), op, payload, datetime(2026, 1, 1, tzinfo=UTC), actor)
        self.entries.append(entry)
        self.book.apply([entry])
        return entry

    def record(self, playbook_id: str, query: str, answer_id: str = "w-1", actor: str = "ann") -> Entry:
        payload = {"playbook_id": playbook_id, "query": query, "answer_id": answer_id, "score": 1.0}
        return self.append(RECORD, payload, actor=actor)

    def live(self) -> list[str]:
        return [entry.playbook_id for entry in self.book.entries()]

    def merges(self) -> int:
        return sum(entry.op == MERGE for entry in self.entries)


def test_other_words_for_the_same_become_one_entry_with_all_evidence() -> None:
    lake = Lake()
    new = [lake.record("p1", "welder toledo"), lake.record("p2", "toledo, welder", actor="bob")]
    twins = PlaybookTwins(lake.book)
    twins(new, lake.append)
    assert lake.live() == ["p1"]
    entry = lake.book.get("p2")
    assert entry is not None
    assert {e.source for e in lake.book.evidence_of(entry)} == {"ann", "bob"}
    twins(new, lake.append)
    PlaybookTwins(lake.book)(new, lake.append)
    assert lake.merges() == 1


def test_other_answers_and_other_queries_stay_apart() -> None:
    lake = Lake()
    new = [
        lake.record("p1", "welder toledo"),
        lake.record("p2", "toledo welder", answer_id="w-2"),
        lake.record("p3", "dental nurse"),
    ]
    PlaybookTwins(lake.book)(new, lake.append)
    assert lake.live() == ["p1", "p2", "p3"]


def test_only_what_was_recorded_since_is_looked_at() -> None:
    lake = Lake()
    lake.record("p1", "welder toledo")
    lake.record("p2", "toledo welder")
    PlaybookTwins(lake.book)([lake.record("p3", "dental nurse")], lake.append)
    assert lake.merges() == 0


def test_a_call_looks_at_so_many_and_the_next_at_the_others() -> None:
    lake = Lake()
    lake.record("p0", "welder toledo")
    new = [lake.record(f"p{n}", f"welder{' ' * n}toledo{'.' * n}") for n in range(1, 6)]
    twins = PlaybookTwins(lake.book, at_once=2)
    twins(new, lake.append)
    assert lake.merges() == 2
    twins((), lake.append)
    twins((), lake.append)
    assert lake.live() == ["p0"]


def test_log_that_fails_loses_nothing() -> None:
    lake = Lake()
    new = [lake.record("p1", "welder toledo"), lake.record("p2", "toledo welder")]
    twins = PlaybookTwins(lake.book)
    lake.is_down = True
    with pytest.raises(StoreUnavailable):
        twins(new, lake.append)
    lake.is_down = False
    twins((), lake.append)
    assert lake.live() == ["p1"]


def test_entry_that_went_meanwhile_is_passed_over() -> None:
    lake = Lake()
    new = [lake.record("p1", "welder toledo"), lake.record("p2", "toledo welder")]
    lake.append("delete", {"playbook_id": "p2"}, actor="ann")
    PlaybookTwins(lake.book)(new, lake.append)
    assert lake.merges() == 0
