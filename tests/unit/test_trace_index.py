"""Rows that wait: no read is answered without them, whoever takes them in, while others write."""

from __future__ import annotations

import threading
import zlib
from datetime import UTC, datetime

import numpy as np

from lakehouse.adapters.trace_index import HotTraceIndex
from lakehouse.pathway.search import PathwaySearch
from lakehouse.pathway.trace_rows import State, TraceRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALL = PathwaySearch(include_retired=True, include_revised=True).filter()


def row(uid: str, text: str = "some words", state: State = "current") -> TraceRow:
    vector = np.random.default_rng(zlib.crc32(uid.encode())).standard_normal(16).astype(np.float32)
    return TraceRow(uid, text, (), state, NOW, vector / np.linalg.norm(vector))


def test_every_read_has_what_was_put_before_it() -> None:
    index = HotTraceIndex(lambda: 16)
    written: list[str] = []
    failures: list[str] = []
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            known = len(written)
            found = set(index.passing(ALL))
            failures.extend(uid for uid in written[:known] if uid not in found)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for n in range(0, 3000, 30):
        uids = [f"u{m}" for m in range(n, n + 30)]
        index.put([row(uid) for uid in uids])
        written += uids
    is_over.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert sorted(index.passing(ALL)) == sorted(written)
    assert (index.waiting, len(index)) == (0, 3000)


def test_newest_row_counts_wherever_the_older_one_is() -> None:
    index = HotTraceIndex(lambda: 16)
    index.put([row("a", state="current")])
    assert index.passing(PathwaySearch().filter()) == ["a"]
    index.put([row("a", state="retired"), row("b")])
    assert index.passing(PathwaySearch().filter()) == ["b"]
    assert index.vector_of("a") is not None
    assert index.vector_of("nobody") is None
