"""Evidence under faults, on the real store: races, kills, a store that fails, lines too long, days without lines."""

from __future__ import annotations

import errno
import itertools
import os
import random
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from lakehouse.adapters.evidence_materializer import EvidenceMaterializer, RunFacts
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.receipt_archive import compact_receipts
from lakehouse.catalog.partitioned import PartitionedTable
from lakehouse.clock import utc_now
from lakehouse.errors import InsufficientStorage, LakehouseError, StoreUnavailable
from lakehouse.storage.objects import ObjectInfo, list_all
from tests.evidence_lake import (
    DAY,
    STREAM,
    ActingStore,
    Point,
    line,
    make,
    make_and_die,
    make_when_told,
    named,
    orphans,
    put_raw,
    refresh,
    served,
)  # fmt: skip
from tests.fakes.objects import MemoryObjects
from tests.forked import context

POINTER = f"catalog/tables/evidence/{STREAM}.json"
INDEX_POINTER = "catalog/tables/evidence_index.json"
RAW = f"raw/{STREAM}/dt={DAY}/"
DAYS = [DAY + timedelta(days=number) for number in range(3)]


def kept_out(store: S3ObjectStore) -> set[str]:
    """Files that serving manifests name and that are not there."""
    return named(store) - {info.key for info in list_all(store, "")}


def test_two_runs_of_one_day_at_once_leave_one_day(objects: S3ObjectStore, tmp_path: Path) -> None:
    put_raw(objects, "a", line("r1"), line("r2"))
    with ThreadPoolExecutor(2) as pool:
        stores = [S3ObjectStore(objects.location) for _ in range(2)]
        made = list(pool.map(lambda n: make(stores[n], tmp_path / str(n), run=f"run-{n}"), range(2)))
    [[first], [second]] = made
    assert first.partition == second.partition
    assert served(objects, tmp_path) == ["r1", "r2"]
    assert orphans(objects) == kept_out(objects) == set()


def test_run_that_was_overtaken_by_one_that_saw_more_takes_nothing_back(objects: S3ObjectStore, tmp_path: Path) -> None:
    put_raw(objects, "a", line("r1"))
    make(objects, tmp_path)
    put_raw(objects, "b", line("r2"))

    def overtake() -> None:
        put_raw(objects, "c", line("r3"))
        make(objects, tmp_path / "other", run="other")

    slow = ActingStore(objects.location, Point(POINTER, "before"), overtake)
    [result] = make(slow, tmp_path / "slow", run="slow")
    assert result.partition is not None
    assert result.partition.counts["in"] == 3
    assert served(objects, tmp_path) == ["r1", "r2", "r3"]


def test_two_processes_at_once_leave_one_day_and_one_index(objects: S3ObjectStore, tmp_path: Path) -> None:
    put_raw(objects, "a", *(line(f"r{n}") for n in range(50)))
    gate = context().Barrier(2)
    running = [
        context().Process(target=make_when_told, args=(objects.location, tmp_path / name, name, gate)) for name in "ab"
    ]
    for process in running:
        process.start()
    for process in running:
        process.join(60)
    assert [process.exitcode for process in running] == [0, 0]
    assert len(served(objects, tmp_path)) == 50
    assert orphans(objects) == kept_out(objects) == set()


def chosen_points() -> Iterator[Point]:
    """Every kind of write before and after, and some more by chance."""
    yield from (Point(f"evidence/{STREAM}/dt=", "after"), Point("receipts/", "after"))
    yield from (Point(POINTER, "before"), Point(POINTER, "after"), Point(INDEX_POINTER, "before"))
    chance = random.Random(7)
    yield from (Point("", chance.choice(["before", "after"]), chance.randint(1, 7)) for _ in range(4))


@pytest.mark.parametrize("point", list(chosen_points()), ids=str)
def test_killed_run_leaves_the_old_day_or_the_new_one(objects: S3ObjectStore, tmp_path: Path, point: Point) -> None:
    put_raw(objects, "a", line("r1"), line("r2", note="old"))
    make(objects, tmp_path)
    refresh(objects, tmp_path)
    before = PartitionedTable(objects, f"evidence/{STREAM}").read()
    put_raw(objects, "b", line("r2", second=1, note="new"), line("r3"), b"{broken\n")
    victim = context().Process(target=make_and_die, args=(objects.location, tmp_path, point))
    victim.start()
    victim.join(60)
    assert victim.exitcode == -signal.SIGKILL
    after = PartitionedTable(objects, f"evidence/{STREAM}").read()
    [now] = after.partitions.values()
    assert now.counts["in"] == (2 if after.version == before.version else 5)
    assert kept_out(objects) == set()
    seen = served(objects, tmp_path, "SELECT run_id || ' ' || coalesce(output_text, '') FROM evidence ORDER BY 1")
    assert seen in (["r1 ", "r2 old"], ["r1 ", "r2 new", "r3 "])
    # Lines come meanwhile: what the victim has put up, and nobody named, waits for garbage collection.
    put_raw(objects, "c", line("r4"))
    left = orphans(objects)
    [result] = make(objects, tmp_path)
    assert result.is_new
    assert served(objects, tmp_path) == ["r1", "r2", "r3", "r4"]
    assert kept_out(objects) == set()
    if point == Point(POINTER, "before"):
        assert {key.split("/")[0] for key in left} == {"evidence", "quarantine"}
        # The lines that were refused and the record that was corrected are the same again: those files are in use.
        [waiting] = left & orphans(objects)
        assert waiting.startswith(f"evidence/{STREAM}/dt=")
    assert [path.name for path in (tmp_path / "work").iterdir() if path.is_dir()] == []


def test_run_again_over_what_a_killed_one_put_up_uses_it(objects: S3ObjectStore, tmp_path: Path) -> None:
    put_raw(objects, "a", line("r1"))
    victim = context().Process(target=make_and_die, args=(objects.location, tmp_path, Point("receipts/", "before")))
    victim.start()
    victim.join(60)
    [orphan] = orphans(objects)
    make(objects, tmp_path)
    assert orphan in named(objects)
    assert orphans(objects) == set()


class FailingObjects(MemoryObjects):
    """Fails at one call, counted from 1, before or after it is done."""

    def __init__(self) -> None:
        super().__init__()
        self.fails_at: int | None = None
        self.calls = 0

    def _answer(self, key: str) -> None:
        self.calls += 1
        if self.calls == self.fails_at:
            raise StoreUnavailable("gone", key=key, retry_after_s=5)

    def put(self, key: str, body: bytes | Path, **options: Any) -> ObjectInfo:
        done = super().put(key, body, **options)
        self._answer(key)
        return done


def test_store_that_fails_at_any_call_leaves_whole_days_and_the_next_run_makes_the_rest(tmp_path: Path) -> None:
    two = DAYS[:2]
    whole = FailingObjects()
    for number, day in enumerate(two):
        put_raw(whole, "a", line(f"r{number}"), b"broken\n", day=day)
    make(whole, tmp_path, two)
    expected = {
        name: one.files for name, one in PartitionedTable(whole, f"evidence/{STREAM}").read().partitions.items()
    }
    assert len(expected) == 2
    for fails_at in itertools.count(1):
        store = FailingObjects()
        for number, day in enumerate(two):
            put_raw(store, "a", line(f"r{number}"), b"broken\n", day=day)
        store.calls, store.fails_at = 0, fails_at
        try:
            make(store, tmp_path, two)
        except StoreUnavailable:
            pass
        else:
            assert store.calls < fails_at
            break
        store.fails_at = None
        there = PartitionedTable(store, f"evidence/{STREAM}").read().partitions
        assert all(one.files == expected[name] for name, one in there.items())
        results = make(store, tmp_path, two)
        assert {r.day.isoformat(): r.partition.files for r in results if r.partition is not None} == expected
    assert fails_at > 12


def test_line_of_fifty_megabytes_is_set_apart_and_stops_nothing(objects: S3ObjectStore, tmp_path: Path) -> None:
    put_raw(objects, "a", line("r1"), line("big", note="x" * (50 << 20)), line("r2"))
    [result] = make(objects, tmp_path)
    assert result.partition is not None
    assert (result.partition.counts["new"], result.partition.counts["quarantined"]) == (2, 1)
    refused = result.partition.file("quarantine")
    assert refused is not None
    assert refused.size < 100_000
    row = orjson.loads(objects.get(refused.key).body)
    assert (row["line"], row["reason"], row["is_cut"]) == (2, "is longer than 16 MiB", True)
    assert served(objects, tmp_path) == ["r1", "r2"]


def test_days_without_lines_are_there_and_have_no_files(objects: S3ObjectStore, tmp_path: Path) -> None:
    put_raw(objects, "empty", day=DAYS[0])
    nothing, none = sorted(make(objects, tmp_path, DAYS[:2]), key=lambda result: result.is_new)
    assert none.partition is not None
    assert (none.partition.files, none.partition.counts["in"], none.is_new) == ((), 0, True)
    assert (nothing.partition, nothing.is_new) == (None, False)
    assert served(objects, tmp_path) == []
    assert [result.is_new for result in make(objects, tmp_path, DAYS[:2])] == [False, False]


def test_days_to_come_are_made_when_asked_for_and_their_lines_are_marked(
    objects: S3ObjectStore, tmp_path: Path
) -> None:
    future = date(2199, 12, 31)
    put_raw(objects, "a", line("early"), day=future)
    make(objects, tmp_path, [future])
    marks = served(objects, tmp_path, "SELECT metadata ->> '$.evidence_off_day_s' FROM evidence")
    assert float(marks[0]) < -5e9


class FullDisk:
    """Refuses from the second day on."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> None:
        self.asked += 1
        if self.asked > 1:
            raise InsufficientStorage("the disk is full")


class FullStore(MemoryObjects):
    """The local disk is full when the bytes of an object arrive."""

    @contextmanager
    def open(self, key: str, **options: Any) -> Iterator[Any]:
        if str(DAYS[1]) in key:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with super().open(key, **options) as reader:
            yield reader


@pytest.mark.parametrize("store", [MemoryObjects(), FullStore()])
def test_full_disk_is_refused_and_the_days_before_are_done(tmp_path: Path, store: MemoryObjects) -> None:
    for day in DAYS:
        put_raw(store, "a", line(f"of-{day}"), day=day)
    given = {} if isinstance(store, FullStore) else {"require_space": FullDisk()}
    with pytest.raises(InsufficientStorage, match="full"):
        make(store, tmp_path, DAYS, **given)
    assert set(PartitionedTable(store, f"evidence/{STREAM}").read().partitions) == {DAYS[0].isoformat()}
    assert [path.name for path in (tmp_path / "work").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("became", ["kept", "compacted", "gone"])
def test_day_that_has_lost_lines_stays_whatever_became_of_its_receipt(tmp_path: Path, became: str) -> None:
    store = MemoryObjects()
    put_raw(store, "a", line("r1"))
    put_raw(store, "b", line("r2"))
    [first] = make(store, tmp_path)
    assert first.partition is not None
    if became == "gone":
        store.delete(first.partition.receipt)
    if became == "compacted":
        compact_receipts(store, tmp_path, now=utc_now() + timedelta(days=2), least=1)
        assert store.head(first.partition.receipt) is None
    store.delete(f"{RAW}a.jsonl")
    [second] = make(store, tmp_path)
    assert second.partition == first.partition
    assert second.lost == ((RAW,) if became == "gone" else (f"{RAW}a.jsonl",))


def test_day_that_vanished_is_behind_and_told_and_its_evidence_stays(tmp_path: Path) -> None:
    store = MemoryObjects()
    put_raw(store, "a", line("r1"))
    put_raw(store, "a", line("r2"), day=DAYS[1])
    first, _ = make(store, tmp_path, DAYS[:2])
    store.delete(f"{RAW}a.jsonl")
    made = EvidenceMaterializer(store, work_dir=tmp_path / "work")
    assert made.behind(STREAM) == {DAY: []}
    assert made.behind(STREAM, DAYS[1:]) == {}
    [second] = make(store, tmp_path, sorted(made.behind(STREAM)))
    assert (second.partition, second.lost) == (first.partition, (f"{RAW}a.jsonl",))


def test_stream_that_is_none_is_told(tmp_path: Path) -> None:
    made = EvidenceMaterializer(MemoryObjects(), work_dir=tmp_path)
    with pytest.raises(LakehouseError, match="nothing"):
        list(made.materialize("nothing", [DAY], RunFacts("run")))
