"""Evidence for drift: an engine over the files of some days and streams alone, however much else the lake holds.

Belongs here: which files, the engine. Not here: what is asked of it (see drift_runs.py, drift_scores.py,
drift_playbook.py), the relations (see evidence_lake.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.adapters.evidence_lake import (
    CURRENT,
    EVIDENCE,
    INDEX_TABLE,
    SCORED_TABLE,
    add_relations,
    open_lake,
)
from lakehouse.adapters.evidence_materializer import TABLE
from lakehouse.adapters.objects import S3Location
from lakehouse.adapters.scratch import scratch_folder
from lakehouse.catalog.partitioned import PartitionedTable, PartitionFile, TableManifest
from lakehouse.scoring.streams import TESTIMONY
from lakehouse.storage.objects import ObjectStore

if TYPE_CHECKING:
    import duckdb

_PLACE = re.compile(r"evidence/(?P<stream>[a-z_]+)/dt=(?P<day>\d{4}-\d\d-\d\d)/")
Wanted = Callable[[str, date], bool]


@dataclass(frozen=True, slots=True)
class EvidenceSource:
    """The evidence of one bucket.

    Args:
        store: The bucket.
        location: The bucket's address with read-only keys, for query engines.
        work_dir: Local folder for what spills.
    """

    store: ObjectStore
    location: S3Location
    work_dir: Path

    @contextmanager
    def opened(
        self, wanted: Wanted, *, keys: Collection[str] = (), scored_days: Collection[date] = ()
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """An engine with `evidence`, `evidence_index` (whole) and `scored`.

        Args:
            wanted: Of which streams and days `evidence` is.
            keys: Files of evidence that are in it whatever their day.
            scored_days: Of which days `scored` is.

        Raises:
            StoreUnavailable: The store does not answer.
            InsufficientStorage: Memory and disk do not suffice.
        """
        index = PartitionedTable(self.store, INDEX_TABLE).read()
        scored = PartitionedTable(self.store, SCORED_TABLE).read()
        names = {day.isoformat() for day in scored_days}
        kept = {name: partition for name, partition in scored.partitions.items() if name in names}
        with (
            scratch_folder(self.work_dir, "drift-") as folder,
            open_lake(self.location, folder) as engine,
        ):
            some = _only(index, lambda file: file.key in keys or _is_wanted(file, wanted))
            add_relations(engine, self.location.bucket, some, replace(scored, partitions=kept))
            yield engine

    def quarantined(self, streams: Collection[str], days: Collection[date]) -> int:
        """How many lines of some streams and days fitted no record, so that nothing is known of them."""
        tables = [PartitionedTable(self.store, f"{TABLE}{stream}").read() for stream in streams]
        made = [
            table.partitions[day.isoformat()] for table in tables for day in days if day.isoformat() in table.partitions
        ]
        return sum(partition.counts.get("quarantined", 0) for partition in made)

    def url(self, key: str) -> str:
        """Where an engine finds a key."""
        return f"s3://{self.location.bucket}/{key}"


def days_until(last: date, count: int) -> list[date]:
    """So many days that end with one."""
    return [last - timedelta(days=back) for back in range(count - 1, -1, -1)]


def days_from(first: date, last: date) -> list[date]:
    """The days from one to another, both included."""
    return days_until(last, max(1, (last - first).days + 1))


def runs_and_testimony(streams: Collection[str], days: Collection[date]) -> Wanted:
    """Runs of some streams and days, and whatever was said since then of any run."""
    first = min(days)
    return lambda stream, day: (stream in streams and day in days) or (stream in TESTIMONY and day >= first)


def _only(index: TableManifest, is_kept: Callable[[PartitionFile], bool]) -> TableManifest:
    """The index of some of the files of evidence; the index itself stays whole."""
    current = index.partitions.get(CURRENT)
    if current is None:
        return index
    files = tuple(file for file in current.files if file.role != EVIDENCE or is_kept(file))
    return replace(index, partitions={CURRENT: replace(current, files=files)})


def _is_wanted(file: PartitionFile, wanted: Wanted) -> bool:
    place = _PLACE.search(file.key)
    return place is not None and wanted(place["stream"], date.fromisoformat(place["day"]))
