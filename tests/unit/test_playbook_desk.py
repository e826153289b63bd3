"""The playbook desk: twins share an entry, credit goes to what was shown, nothing is recorded when the log fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from lakehouse.errors import BadInput, NotFound, StoreUnavailable
from lakehouse.memory.entry import Entry, Order
from lakehouse.retrieval.playbook import PlaybookBook
from lakehouse.retrieval.playbook_desk import NewRecord, PlaybookDesk
from lakehouse.retrieval.trace import Shown, Trace
from tests.fakes.entry_index import FlatIndex

WRITER = "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c"
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class ListLog:
    """A log that applies at once, a moment after it was asked."""

    def __init__(self, book: PlaybookBook) -> None:
        self.entries: list[Entry] = []
        self.is_down = False
        self._book = book

    async def append(self, op: str, payload: dict[str, Any], *, actor: str) -> Entry:
        await asyncio.sleep(0)
        if self.is_down:
            raise StoreUnavailable("the store is away")
        n = len(self.entries) + 1
        entry = Entry(f"op-{n}", Order(n, WRITER, n, 0), op, payload, datetime(2026, 1, 1, tzinfo=UTC), actor)
        self.entries.append(entry)
        self._book.apply([entry])
        return entry


def letters(texts: Sequence[str]) -> Any:
    """Embeds by counts of letters."""
    counts = np.array([[t.lower().count(c) + 0.01 for c in "abcdefghijklmnopqrstuvwxyz"] for t in texts], np.float32)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


@pytest.fixture
def desk() -> PlaybookDesk:
    book = PlaybookBook(FlatIndex(), embedder="letters", embed=letters)

    async def embed(text: str) -> Any:
        return letters([text])[0]

    return PlaybookDesk(book, ListLog(book), embed, embedder="letters")


def book_of(desk: PlaybookDesk) -> PlaybookBook:
    return desk._book


async def test_record_is_found_by_a_similar_query(desk: PlaybookDesk) -> None:
    recorded = await desk.record(NewRecord("welder", "w-1", "workers", 1.0, ["fill"]), actor="ann")
    book = book_of(desk)
    [(distance, entry)] = book.live_of(book.nearest(letters(["a welder"])[0], k=5, max_distance=0.35))
    assert distance < 0.35
    assert (entry.playbook_id, entry.answer_id, entry.tags) == (recorded.playbook_id, "w-1", ("fill",))
    assert not recorded.is_merged


async def test_same_query_and_answer_again_is_the_same_entry(desk: PlaybookDesk) -> None:
    first, second, third = await asyncio.gather(
        desk.record(NewRecord("Welder  OH", "w-1", "workers"), actor="ann"),
        desk.record(NewRecord("welder oh", "w-1", "workers"), actor="bob"),
        desk.record(NewRecord("welder oh", "w-2", "workers"), actor="bob"),
    )
    assert first.playbook_id == second.playbook_id != third.playbook_id
    assert (first.is_merged, second.is_merged, third.is_merged) == (False, True, False)
    entry = book_of(desk).get(first.playbook_id)
    assert entry is not None
    assert {e.source for e in book_of(desk).evidence_of(entry)} == {"ann", "bob"}


async def test_blank_text_is_refused(desk: PlaybookDesk) -> None:
    with pytest.raises(BadInput, match="must not be blank"):
        await desk.record(NewRecord("  ", "w-1"), actor="ann")


async def test_failed_log_records_nothing_and_the_next_try_does(desk: PlaybookDesk) -> None:
    log: ListLog = desk._log  # type: ignore[assignment]
    log.is_down = True
    with pytest.raises(StoreUnavailable):
        await desk.record(NewRecord("welder", "w-1"), actor="ann")
    assert book_of(desk).entries() == []
    log.is_down = False
    assert not (await desk.record(NewRecord("welder", "w-1"), actor="ann")).is_merged


async def test_credit_touches_what_was_shown_for_the_answer_alone(desk: PlaybookDesk) -> None:
    one = (await desk.record(NewRecord("welder", "w-1"), actor="ann")).playbook_id
    two = (await desk.record(NewRecord("nurse", "w-2"), actor="ann")).playbook_id
    trace = Trace(
        "run-1", "playbook", "search/0", (Shown("c", "w-1", (one,)), Shown("c", "w-2", (two,)), Shown("c", "x"))
    )
    [credited] = await desk.credit(trace, -1.0, by="bob", answer_id="w-1")
    assert credited.playbook_id == one
    assert await desk.credit(trace, 1.0, by="bob", answer_id="x") == []
    scores = {e.source: e.score for e in book_of(desk).evidence_of(book_of(desk).entries()[0])}
    assert scores == {"ann": 1.0, "bob": -1.0}


async def test_last_word_of_a_judge_counts(desk: PlaybookDesk) -> None:
    one = (await desk.record(NewRecord("welder", "w-1"), actor="ann")).playbook_id
    trace = Trace("run-1", "playbook", "search/0", (Shown("c", "w-1", (one,)),))
    await desk.credit(trace, -1.0, by="bob")
    await desk.credit(trace, 1.0, by="bob")
    entry = book_of(desk).get(one)
    assert entry is not None
    assert [e.score for e in book_of(desk).evidence_of(entry) if e.source == "bob"] == [1.0]


async def test_unknown_entry_is_not_found(desk: PlaybookDesk) -> None:
    with pytest.raises(NotFound, match="no playbook entry"):
        await desk.feedback("nope", 1.0, actor="ann")
    recorded = await desk.record(NewRecord("welder", "w-1"), actor="ann")
    await desk.delete(recorded.playbook_id, actor="ann")
    with pytest.raises(NotFound):
        await desk.delete(recorded.playbook_id, actor="ann")
