"""Entries that wait for the fold: the same when they are read, gone with their files, and never in the way."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.adapters import kept_entries
from lakehouse.adapters.kept_entries import KeptEntries
from lakehouse.adapters.memory_applied import AppliedLog
from lakehouse.clock import new_id
from lakehouse.errors import Unavailable
from lakehouse.memory.entry import Entry, Order, make_draft
from lakehouse.memory.hybrid_clock import HybridClock
from lakehouse.memory.log_object import LogObject

WRITER, OTHER = new_id(), new_id()
AT = datetime(2026, 11, 29, 22, 30, 0, 123456, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def entry(seq: int, payload: dict[str, Any], *, position: int = 0) -> Entry:
    draft = make_draft("record", payload, op_id=new_id(), actor="somebody", recorded_at=AT)
    return draft.at(Order(1 << 50, WRITER, seq, position))


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def read(kept: KeptEntries, writer: str, first: int, last: int) -> list[tuple[Entry, ...]] | None:
    places = kept.find(writer, first, last)
    return None if places is None else [place.read() for place in places]


@given(st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=4), max_size=4))
def test_any_payload_is_the_same_when_it_is_read(payloads: list[dict[str, Any]]) -> None:
    kept = KeptEntries()
    entries = tuple(entry(1, payload, position=place) for place, payload in enumerate(payloads))
    kept.keep(WRITER, 1, entries, 10)
    assert [repr(found) for found in read(kept, WRITER, 1, 1) or ()] == [repr(entries)]


def test_span_with_an_object_that_is_not_kept_is_not_found() -> None:
    kept = KeptEntries()
    for seq in (1, 2, 4):
        kept.keep(WRITER, seq, (entry(seq, {"n": seq}),), 10)
    assert [e.payload["n"] for (e,) in read(kept, WRITER, 1, 2) or ()] == [1, 2]
    assert kept.find(WRITER, 1, 4) is None
    assert kept.find(OTHER, 1, 1) is None
    assert kept.find(WRITER, 3, 2) == []


def test_what_is_folded_or_dropped_counts_no_more() -> None:
    kept = KeptEntries()
    for seq in (1, 2, 3):
        kept.keep(WRITER, seq, (entry(seq, {}),), 10)
    kept.keep(OTHER, 1, (), 5)
    kept.keep(OTHER, 1, (), 7)  # heard again
    assert kept.bytes == 37
    kept.forget({WRITER: 2})
    assert (kept.bytes, kept.find(WRITER, 2, 3), len(kept.find(WRITER, 3, 3) or ())) == (17, None, 1)
    kept.drop(OTHER)
    assert kept.bytes == 10


def test_files_have_no_name_and_go_with_what_they_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_entries, "_FILE_BYTES", 1_000)
    kept = KeptEntries(tmp_path)
    open_before = open_files()
    for seq in range(1, 41):
        kept.keep(WRITER, seq, (entry(seq, {"text": "x" * 500}),), 500)
    assert not list(tmp_path.iterdir())
    assert open_files() > open_before + 10
    kept.forget({WRITER: 39})
    assert open_files() <= open_before + 2
    assert [e.payload["text"] for (e,) in read(kept, WRITER, 40, 40) or ()] == ["x" * 500]


@pytest.mark.parametrize("payload", [{"n": 1 << 70}, {"text": "\ud800"}])
def test_what_cannot_be_kept_is_left_out(payload: dict[str, Any]) -> None:
    kept = KeptEntries()
    kept.keep(WRITER, 1, (Entry(new_id(), Order(1, WRITER, 1, 0), "record", payload, AT, "a"),), 10)
    assert (kept.find(WRITER, 1, 1), kept.bytes) == (None, 0)


def test_folder_that_is_gone_keeps_nothing(tmp_path: Path) -> None:
    kept = KeptEntries(tmp_path / "gone")
    kept.keep(WRITER, 1, (entry(1, {}),), 10)
    assert (kept.find(WRITER, 1, 1), kept.bytes) == (None, 0)


class _Nothing:
    def apply(self, entries: Any) -> None:
        pass


def test_disk_that_fails_while_a_fold_reads_is_told_and_the_bucket_is_asked_the_next_time() -> None:
    applied = AppliedLog("playbooks", _Nothing(), HybridClock())
    for seq in (1, 2):
        applied.take(LogObject(WRITER, seq, (entry(seq, {"n": seq}),)), size=10)
    reading = applied.tail(WRITER, 1, 2)
    (first,) = next(reading or iter(()))
    assert first.payload == {"n": 1}
    places = applied._tail.find(WRITER, 2, 2)
    assert places is not None
    os.ftruncate(places[0].part.fd, 0)
    with pytest.raises(Unavailable, match="wait for the fold"):
        next(reading or iter(()))
    assert applied.tail(WRITER, 1, 2) is None
    assert applied.stats()["tail_bytes"] == 0
