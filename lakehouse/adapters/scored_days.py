"""Scores in the bucket: the days whose scores may have changed are scored again, and one manifest names all of them.

The evidence that was seen last is remembered, and the days that are still due. Evidence that came or went since then
concerns its own days and the days of the runs that it is about. So a late outcome scores its run's day again, and no
other.

Belongs here: which days, their files in the bucket, receipts. Not here: scoring (see scoring_engine.py), evidence (see
evidence_index.py).
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from lakehouse.adapters.evidence_lake import (
    CURRENT,
    EVIDENCE,
    EXCLUDED,
    INDEX_TABLE,
    SCORED,
    SCORED_TABLE,
    add_relations,
    open_lake,
)
from lakehouse.adapters.evidence_materializer import RunFacts
from lakehouse.adapters.objects import S3Location
from lakehouse.adapters.scoring_engine import Scored, ScoringEngine
from lakehouse.catalog.partitioned import Partition, PartitionedTable, PartitionFile, TableManifest
from lakehouse.clock import utc_now
from lakehouse.query.quoting import quote_text
from lakehouse.receipts.receipt import Receipt, ReceiptCounts, ReceiptItem, write_receipt
from lakehouse.scoring.rule_file import default_rules
from lakehouse.scoring.rules import RuleSet
from lakehouse.storage.objects import ObjectStore
from lakehouse.storage.publish import publish

if TYPE_CHECKING:
    import duckdb

LOOKED_AT = "looked_at"
"""The partition that remembers what was looked at last."""
_OWED = "owed"
_ROWS_AT_ONCE = 200_000
_DAY = re.compile(r"/dt=(\d{4}-\d\d-\d\d)/")


@dataclass(frozen=True, slots=True)
class ScoredDay:
    """One day that was scored; `is_changed` says whether its scores are others than before."""

    day: date
    partition: Partition
    is_changed: bool


class ScoredDays:
    """Scores the runs of one bucket.

    Args:
        store: The bucket.
        location: The bucket's address with read-only keys, for query engines.
        work_dir: Local folder for temporary files.
        rules: What is scored by; the platform's rules by default.
        clock: The time now, for receipts.
    """

    def __init__(
        self,
        store: ObjectStore,
        location: S3Location,
        *,
        work_dir: Path,
        rules: RuleSet | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._location = location
        self._work_dir = work_dir
        self._rules = rules or default_rules()
        self._engine = ScoringEngine(self._rules)
        self._table = PartitionedTable(store, SCORED_TABLE, clock=clock)
        self._index = PartitionedTable(store, INDEX_TABLE, clock=clock)
        self._clock = clock

    def behind(self) -> list[date]:
        """The days whose scores may be others than those that are there, in order.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        index, scored = self._index.read(), self._table.read()
        if not self._is_behind(index, scored):
            return []
        with self._opened(index) as (engine, _):
            return self._days_behind(engine, index, scored)

    def score(self, run: RunFacts, days: Sequence[date] | None = None) -> list[ScoredDay]:
        """Score days again.

        Args:
            run: Who does it.
            days: Which ones; None: those that are behind. Those that were behind and are not among them stay so.

        Raises:
            StoreUnavailable: The store does not answer; what served goes on serving.
        """
        started_at = self._clock()
        index, before = self._index.read(), self._table.read()
        if days is None and not self._is_behind(index, before):
            return []
        with self._opened(index) as (engine, folder):
            behind = self._days_behind(engine, index, before)
            wanted = behind if days is None else sorted(set(days))
            made: dict[date, Partition] = {}
            for number, portion in enumerate(_portions(wanted, index)):
                target = folder / str(number)
                target.mkdir()
                made |= self._published(index, before, self._engine.score(engine, portion, target), run, started_at)
        changes: dict[str, Partition | None] = {day.isoformat(): partition for day, partition in made.items()}
        changes[LOOKED_AT] = self._looked_at(index, sorted(set(behind) - set(wanted)))
        self._table.commit(lambda _: changes)
        return [
            ScoredDay(day, partition, before.partitions.get(day.isoformat()) is not partition)
            for day, partition in sorted(made.items())
        ]

    @contextmanager
    def _opened(self, index: TableManifest) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
        """An engine with the evidence of an index, and an empty folder."""
        self._work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="scored-", dir=self._work_dir) as name:
            made = Path(name) / "made"
            made.mkdir()
            with open_lake(self._location, Path(name)) as engine:
                add_relations(engine, self._location.bucket, index)
                yield engine, made

    def _is_behind(self, index: TableManifest, scored: TableManifest) -> bool:
        looked_at = scored.partitions.get(LOOKED_AT)
        return looked_at is None or looked_at.fingerprint != self._fingerprint(index) or bool(_owed(looked_at))

    def _fingerprint(self, index: TableManifest) -> str:
        current = index.partitions.get(CURRENT)
        said = [self._rules.version, "" if current is None else current.fingerprint]
        return hashlib.sha256(orjson.dumps(said)).hexdigest()

    def _looked_at(self, index: TableManifest, owed: Sequence[date] = ()) -> Partition:
        current = index.partitions.get(CURRENT)
        files = () if current is None else tuple(f for f in current.files if f.role in (EVIDENCE, EXCLUDED))
        days = (PartitionFile(_OWED, day.isoformat(), 0, "", 0) for day in owed)
        return Partition(self._fingerprint(index), (*files, self._rules_file(), *days))

    def _rules_file(self) -> PartitionFile:
        return PartitionFile("rules", self._rules.version, 0, "", 0)

    def _days_behind(
        self, engine: duckdb.DuckDBPyConnection, index: TableManifest, scored: TableManifest
    ) -> list[date]:
        looked_at = scored.partitions.get(LOOKED_AT)
        now = self._looked_at(index)
        if looked_at is None or looked_at.file("rules") != self._rules_file():
            return _days_of(file.key for file in now.files)
        changed = {file.key for file in set(now.files) ^ set(looked_at.files) if file.role == EVIDENCE}
        days = set(_days_of(changed))
        if days:
            days |= set(self._engine.days_touched(engine, sorted(days)))
        days |= set(_owed(looked_at))
        if now.file(EXCLUDED) != looked_at.file(EXCLUDED):
            days |= set(self._days_excluded(engine, [looked_at.file(EXCLUDED), now.file(EXCLUDED)]))
        return sorted(days)

    def _days_excluded(self, engine: duckdb.DuckDBPyConnection, files: Sequence[PartitionFile | None]) -> list[date]:
        """Days of lines that are left out in one of two lists and not in the other."""
        sources = [
            f"SELECT source_key, line, run_id FROM read_parquet([{quote_text(f's3://{self._location.bucket}/{f.key}')}])"
            if f is not None
            else "SELECT NULL::VARCHAR AS source_key, NULL::BIGINT AS line, NULL::VARCHAR AS run_id WHERE false"
            for f in files
        ]
        old, new = sources
        rows = engine.execute(
            f"SELECT DISTINCT source_key FROM (({old} EXCEPT {new}) UNION ALL ({new} EXCEPT {old}))"
        ).fetchall()
        return _days_of(str(row[0]) for row in rows)

    def _published(
        self, index: TableManifest, before: TableManifest, scored: Scored, run: RunFacts, started_at: datetime
    ) -> dict[date, Partition]:
        import pyarrow.parquet as pq

        current = index.partitions.get(CURRENT)
        evidence = [] if current is None else [file for file in current.files if file.role == EVIDENCE]
        refused = self._keep_quarantine(scored)
        made = {}
        for day, path in scored.files.items():
            rows = pq.read_metadata(path).num_rows
            files: tuple[PartitionFile, ...] = ()
            if rows:  # a day without runs has no file
                one = publish(self._store, path, partial(_scored_key, day))
                files = (PartitionFile(SCORED, one.key, one.size, one.sha256, rows),)
            said = "".join(file.sha256 for file in files)
            fingerprint = hashlib.sha256(f"{self._rules.version}\n{said}".encode()).hexdigest()
            known = before.partitions.get(day.isoformat())
            if known is not None and known.fingerprint == fingerprint:
                made[day] = known
                continue
            inputs = tuple(
                ReceiptItem(source.key, source.sha256, source.rows)
                for source in evidence
                if f"/dt={day}/" in source.key
            )
            receipt = Receipt(
                asset=SCORED_TABLE,
                partition=day.isoformat(),
                run_id=run.run_id,
                code_version=self._rules.version,
                git_commit=run.git_commit,
                started_at=started_at,
                ended_at=self._clock(),
                inputs=inputs,
                outputs=(*(ReceiptItem(file.key, file.sha256, rows) for file in files), *refused),
                counts=ReceiptCounts(taken=rows, new=rows, out=rows),
            )
            write_receipt(self._store, receipt)
            made[day] = Partition(fingerprint, files, {"out": rows}, receipt.key)
        return made

    def _keep_quarantine(self, scored: Scored) -> tuple[ReceiptItem, ...]:
        """Store the labels that are not in the table, in the folder of the last day that was scored."""
        if scored.quarantine is None:
            return ()
        day = max(scored.files)
        one = publish(
            self._store,
            scored.quarantine,
            lambda sha256: f"quarantine/scored/dt={day}/{sha256}.jsonl",
            content_type="application/x-ndjson",
        )
        return (ReceiptItem(one.key, one.sha256, scored.counts.quarantined),)


def _portions(days: Sequence[date], index: TableManifest) -> Iterator[list[date]]:
    """Groups of days that are scored together: days with up to so many records in all, or a single larger day."""
    current = index.partitions.get(CURRENT)
    rows: Counter[date] = Counter()
    for file in () if current is None else current.files:
        if file.role == EVIDENCE:
            rows.update(dict.fromkeys(_days_of([file.key]), file.rows))
    portion: list[date] = []
    for day in days:
        if portion and sum(rows[one] for one in portion) + rows[day] > _ROWS_AT_ONCE:
            yield portion
            portion = []
        portion.append(day)
    if portion:
        yield portion


def _owed(looked_at: Partition) -> list[date]:
    return [date.fromisoformat(file.key) for file in looked_at.files if file.role == _OWED]


def _scored_key(day: date, sha256: str) -> str:
    return f"scored/dt={day}/{sha256}.parquet"


def _days_of(keys: Iterable[str]) -> list[date]:
    return sorted({date.fromisoformat(found[1]) for key in keys if (found := _DAY.search(key))})
