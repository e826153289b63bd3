"""Garbage of Lance tables: which files go, and which stay whatever their age."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lakehouse.operations.garbage import collect_all_garbage, collect_table_files
from lakehouse.retrieval.live_pointer import LivePointer
from lakehouse.retrieval.live_table import Former, LiveTable, Successor, live_key
from tests.fakes.objects import MemoryObjects

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Bucket:
    def __init__(self) -> None:
        self.now = START
        self.store = MemoryObjects(clock=lambda: self.now)

    def put_files(self, *uris: str) -> None:
        for uri in uris:
            for part in ("data/a.lance", "_versions/1.manifest"):
                self.store.put(f"lance/{uri}.lance/{part}", b"x")

    def point(self, name: str, uri: str, **more: object) -> LivePointer:
        pointer = LivePointer(self.store, name, clock=lambda: self.now)
        pointer.create(LiveTable(uri=f"lance/{uri}.lance", version=1, key="id", **more))  # type: ignore[arg-type]
        return pointer

    def files(self) -> set[str]:
        keys = [info.key.split("/")[1] for info in self.store.list("lance/").objects]
        return {key.removesuffix(".lance") for key in keys if key.endswith(".lance")}

    def collect(self, days: float, *, dry_run: bool = False) -> int:
        self.now = START + timedelta(days=days)
        report = collect_table_files(self.store, now=self.now, history=7 * DAY, min_age=DAY, dry_run=dry_run)
        return len(report.collected)


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


def test_files_that_serve_or_will_serve_stay(bucket: Bucket) -> None:
    bucket.put_files("a", "a-1", "b")
    bucket.point("a", "a", successor=Successor("lance/a-1.lance", "tag"))
    bucket.point("b", "b")
    assert bucket.collect(100) == 0
    assert bucket.files() == {"a", "a-1", "b"}


def test_replaced_files_go_after_the_history(bucket: Bucket) -> None:
    bucket.put_files("a", "a-1")
    pointer = bucket.point("a", "a-1", former=(Former("lance/a.lance", START),))
    assert bucket.collect(6) == 0
    assert bucket.collect(8, dry_run=True) == 2
    assert bucket.files() == {"a", "a-1"}
    assert bucket.collect(8) == 2
    assert bucket.files() == {"a-1"}
    live = pointer.read()
    assert live is not None
    assert live.former == ()
    assert bucket.collect(9) == 0


def test_files_without_a_table_go_when_none_is_young(bucket: Bucket) -> None:
    bucket.put_files("dropped")
    assert bucket.collect(0.5) == 0
    bucket.store.put("lance/dropped.lance/data/b.lance", b"young")
    assert bucket.collect(1.2) == 0
    assert bucket.collect(3) == 3
    assert bucket.files() == set()


def test_files_of_a_damaged_pointer_stay_and_others_go(bucket: Bucket) -> None:
    bucket.put_files("a", "a-1", "ab", "gone")
    bucket.store.put(live_key("a"), b"{damaged")
    bucket.point("ab", "ab")
    bucket.collect(30)
    assert bucket.files() == {"a", "a-1", "ab"}


def test_everything_is_collected_in_one_go(bucket: Bucket) -> None:
    bucket.put_files("gone")
    bucket.store.put("datasets/d/fp/orphan.parquet", b"x")
    now = START + 30 * DAY
    report = collect_all_garbage(bucket.store, now=now, history=7 * DAY, min_age=DAY, dry_run=False)
    assert len(report.collected) == 3
    assert bucket.store.list("").objects == ()


def test_pointer_moved_meanwhile_keeps_its_news(bucket: Bucket) -> None:
    bucket.put_files("a", "a-1")
    pointer = bucket.point("a", "a-1", former=(Former("lance/a.lance", START),))
    pointer.swap(lambda live: replace(live, rows=7))
    bucket.collect(8)
    live = pointer.read()
    assert live is not None
    assert (live.rows, live.former) == (7, ())
