"""Evidence of a bucket under faults: raw lines put, days made, what serves, what nothing names; a store that acts."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from lakehouse.adapters.evidence_index import EvidenceIndex
from lakehouse.adapters.evidence_lake import INDEX_TABLE, add_relations, open_lake
from lakehouse.adapters.evidence_materializer import DayResult, EvidenceMaterializer, RunFacts
from lakehouse.adapters.objects import S3Location, S3ObjectStore
from lakehouse.catalog.partitioned import PartitionedTable
from lakehouse.storage.objects import ObjectStore, list_all

STREAM = "outcomes"
DAY = date(2026, 3, 1)
FOLDERS = ("evidence/", "quarantine/evidence/")


def line(run_id: str, *, second: int = 0, **fields: object) -> bytes:
    at = f"2026-03-01T10:00:{second:02d}Z"
    return orjson.dumps({"run_id": run_id, "recorded_at": at, "score": 1, **fields}, option=orjson.OPT_APPEND_NEWLINE)


def put_raw(store: ObjectStore, part: str, *lines: bytes, day: date = DAY) -> None:
    store.put(f"raw/{STREAM}/dt={day}/{part}.jsonl", b"".join(lines))


def make(
    store: ObjectStore, folder: Path, days: Sequence[date] = (DAY,), *, run: str = "run", **given: Any
) -> list[DayResult]:
    made = EvidenceMaterializer(store, work_dir=folder / "work", **given)
    return list(made.materialize(STREAM, days, RunFacts(run)))


def refresh(store: S3ObjectStore, folder: Path) -> bool:
    return EvidenceIndex(store, store.location, work_dir=folder / "work").refresh()[1]


def served(store: S3ObjectStore, folder: Path, sql: str = "SELECT run_id FROM evidence ORDER BY 1") -> list[Any]:
    """What SQL sees after a refresh of the index; first columns."""
    refresh(store, folder)
    folder.mkdir(exist_ok=True)
    with open_lake(store.location, folder) as engine:
        add_relations(engine, store.bucket, PartitionedTable(store, INDEX_TABLE).read())
        return [row[0] for row in engine.execute(sql).fetchall()]


def named(store: ObjectStore) -> set[str]:
    """Keys that the manifests that serve name."""
    tables = [f"evidence/{STREAM}", INDEX_TABLE]
    manifests = [PartitionedTable(store, table).read() for table in tables]
    return {file.key for one in manifests for partition in one.partitions.values() for file in partition.files}


def orphans(store: ObjectStore) -> set[str]:
    """Files of evidence that no manifest that serves names."""
    return {info.key for folder in FOLDERS for info in list_all(store, folder)} - named(store)


@dataclass(frozen=True)
class Point:
    """Before or after the write number `number` (from 1) of a key that has `part` in it."""

    part: str
    when: str
    number: int = 1


class ActingStore(S3ObjectStore):
    """The real store, with something that happens at a point."""

    def __init__(self, location: S3Location, point: Point, act: Callable[[], object]) -> None:
        super().__init__(location)
        self._point = point
        self._act = act
        self._seen = 0

    def put(self, key: str, *args: Any, **options: Any) -> Any:
        self._seen += self._point.part in key
        is_now = self._point.part in key and self._seen == self._point.number
        if is_now and self._point.when == "before":
            self._act()
        done = super().put(key, *args, **options)
        if is_now and self._point.when == "after":
            self._act()
        return done


def make_and_die(location: S3Location, folder: Path, point: Point) -> None:
    """Make the day and the index in a process that kills itself."""
    store = ActingStore(location, point, lambda: os.kill(os.getpid(), signal.SIGKILL))
    make(store, folder, run="victim")
    refresh(store, folder)


def make_when_told(location: S3Location, folder: Path, run: str, gate: Any) -> None:
    """Make the day and the index in a process, as soon as all are there."""
    store = S3ObjectStore(location)
    gate.wait(60)
    make(store, folder, run=run)
    refresh(store, folder)
