"""Finding lineage: the index says where a run's lines are, the bucket what lies there, manifests what was made of it.

Belongs here: what is looked up in which order. Not here: the statements (see lineage_sql.py), the engine (see
lineage_engine.py), lines (see raw_lines.py), what memory holds of a run (see lakehouse_api/lineage.py).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.adapters import lineage_sql as sql
from lakehouse.adapters.cached_tables import CachedTables
from lakehouse.adapters.evidence_lake import (
    BUILDS_TABLE,
    CURRENT,
    INDEX,
    INDEX_TABLE,
    SCORED,
    SCORED_TABLE,
    SUPERSEDED_BY,
)
from lakehouse.adapters.evidence_materializer import QUARANTINE, SUPERSEDED, TABLE
from lakehouse.adapters.lineage_engine import LineageEngine
from lakehouse.adapters.lineage_retractions import LineageRetractions
from lakehouse.adapters.raw_lines import RawLines
from lakehouse.errors import NotFound
from lakehouse.evidence.days import day_of
from lakehouse.evidence.transforms import TRANSFORMS
from lakehouse.lineage.answer import Lineage, PlacedSample, RawLine, ReceiptOf, RunLineage, RunScore, check_line
from lakehouse.lineage.reference import Reference
from lakehouse.lineage.where_to_look import BuildContents, build_of, of_build, of_nothing_known

if TYPE_CHECKING:
    import duckdb

    from lakehouse.adapters.objects import S3Location
    from lakehouse.catalog.partitioned import Partition, PartitionFile, TableManifest
    from lakehouse.storage.objects import ObjectStore

MOST_SAMPLES = 1000
DEADLINE_S = 10.0


class LineageReader:
    """Answers for one bucket; blocking, any number of threads may ask.

    Args:
        store: The bucket.
        location: The bucket's address with read-only keys, for query engines.
        folder: Its own local folder; what lies there is removed.
        deadline_s: How long an answer may take.
    """

    def __init__(
        self, store: ObjectStore, location: S3Location, *, folder: Path, deadline_s: float = DEADLINE_S
    ) -> None:
        self._bucket = location.bucket
        self._tables = CachedTables(store)
        self._lines = RawLines(store)
        self._retractions = LineageRetractions(store, self._tables, root=f"s3://{location.bucket}/")
        self._engine = LineageEngine(location, folder)
        self._deadline_s = deadline_s

    def close(self) -> None:
        """Close the engine and remove its files."""
        self._engine.close()

    def find(self, asked: Reference) -> Lineage:
        """The lineage of what is asked for.

        Raises:
            NotFound: There is no such sample, chunk, run or line.
            TimedOut: It took too long.
            StoreUnavailable: The store does not answer.
        """
        until_s = time.monotonic() + self._deadline_s
        tables = _Tables(self._tables.get(INDEX_TABLE), self._tables.get(SCORED_TABLE), self._tables.get(BUILDS_TABLE))
        with self._engine.cursor(tables.builds, until_s=until_s) as cursor:
            search = _Search(cursor, self._bucket, tables, self._tables, self._lines, self._retractions, until_s)
            return search.find(asked)


@dataclass(frozen=True, slots=True)
class _Tables:
    """The manifests that one answer is of."""

    index: TableManifest
    scored: TableManifest
    builds: TableManifest

    @property
    def index_file(self) -> PartitionFile | None:
        current = self.index.partitions.get(CURRENT)
        file = None if current is None else current.file(INDEX)
        return file if file is not None and file.rows else None


@dataclass(frozen=True, slots=True)
class _Search:
    """One answer in the making."""

    cursor: duckdb.DuckDBPyConnection
    bucket: str
    tables: _Tables
    cached: CachedTables
    lines: RawLines
    retractions: LineageRetractions
    until_s: float

    def find(self, asked: Reference) -> Lineage:
        if asked.kind == "line":
            assert asked.number is not None
            return self._line(asked, asked.name, asked.number)
        if asked.kind in ("sample", "chunk"):
            samples = sql.samples_of(self.cursor, asked.name)
            if samples and asked.kind == "chunk":
                samples = [one for one in samples if one.kind == "rag" and (asked.number or 0) < one.rows]
            if samples:
                runs = tuple(self._run(run_id) for run_id in dict.fromkeys(one.run_id for one in samples))
                return Lineage(asked.text, asked.kind, runs, tuple(samples))
        run = self._run(asked.text)
        if not run.lines and not run.samples:
            raise self._not_found(asked.text)
        return Lineage(asked.text, "run", (run,))

    def _not_found(self, text: str) -> NotFound:
        """What to ask for instead: a build has no lineage of its own, each of its samples has."""
        entry = build_of(text, self.tables.builds.partitions)
        if entry is None:
            return NotFound(of_nothing_known(text), id=text)
        by = self.tables.builds.partitions[entry].file(SUPERSEDED_BY)
        samples, runs, example = sql.contents_of_build(self.cursor, entry)
        build = BuildContents(entry, samples, runs, example, None if by is None else by.key)
        return NotFound(of_build(build), id=text, build=entry)

    def _line(self, asked: Reference, key: str, number: int) -> Lineage:
        file = self.tables.index_file
        found = [] if file is None else sql.runs_of_line(self.cursor, self._at(file.key), key, number)
        if found:
            return Lineage(asked.text, "line", tuple(self._run(run_id) for run_id in found))
        left_out = [*self._left_out(key, SUPERSEDED, number=number), *self._left_out(key, QUARANTINE, number=number)]
        if left_out:
            run_ids = dict.fromkeys(one.run_id for one in left_out if one.run_id is not None)
            lines = tuple(self._checked(one) for one in left_out)
            return Lineage(asked.text, "line", tuple(self._run(run_id) for run_id in run_ids), lines=lines)
        raise NotFound(
            f"no record was made of line {number} of {key!r}: it is not there, its evidence is not made yet, it is of a"
            " load, or an equal line of the same day serves",
            id=asked.text,
        )

    def _run(self, run_id: str) -> RunLineage:
        file = self.tables.index_file
        found = [] if file is None else sql.lines_of_run(self.cursor, self._at(file.key), run_id)
        for key in dict.fromkeys(line.source_key for line in found):
            found += [line for line in self._left_out(key, SUPERSEDED, run_id=run_id) if line not in found]
        samples = sql.samples_of_run(self.cursor, run_id, MOST_SAMPLES + 1)
        scores = tuple(self._scores(run_id, found))
        return RunLineage(
            run_id,
            tuple(self._checked(line) for line in found),
            scores,
            tuple(samples[:MOST_SAMPLES]),
            tuple(dict.fromkeys(self._receipts(found, scores, samples))),
            is_truncated=len(samples) > MOST_SAMPLES,
            retractions=(
                self.retractions.of(self.cursor, run_id) if any(line.status == "retracted" for line in found) else ()
            ),
        )

    def _checked(self, line: sql.IndexedLine) -> RawLine:
        found = self.lines.find(line.source_key, line.line, until_s=self.until_s)
        return RawLine(
            line.source_key,
            line.line,
            line.sha256,
            line.stream,
            line.status,
            check_line(line.sha256, found),
            None if found is None else found.sha256,
            line.evidence_key,
        )

    def _left_out(
        self, key: str, role: str, *, number: int | None = None, run_id: str | None = None
    ) -> list[sql.IndexedLine]:
        """Lines of a raw object that became no record of the index: corrected on the same day, or refused."""
        partition = self._day(key)
        file = None if partition is None else partition.file(role)
        if file is None:
            return []
        if role == SUPERSEDED:
            found = sql.superseded(self.cursor, self._at(file.key), key, line=number, run_id=run_id)
        else:
            found = sql.quarantined(self.cursor, self._at(file.key), key, line=number)
        return [replace(line, evidence_key=file.key) for line in found]

    def _day(self, source_key: str) -> Partition | None:
        """The partition of evidence that a raw object belongs to."""
        stream = source_key.split("/")[1]
        day = day_of(source_key, stream) if stream in TRANSFORMS else None
        return None if day is None else self.cached.get(TABLE + stream).partitions.get(day.isoformat())

    def _scores(self, run_id: str, lines: Sequence[sql.IndexedLine]) -> Iterator[RunScore]:
        days = {day_of(line.source_key, line.stream) for line in lines}
        for day in sorted(day for day in days if day is not None):
            partition = self.tables.scored.partitions.get(day.isoformat())
            file = None if partition is None else partition.file(SCORED)
            if file is not None:
                yield from sql.scores_of(self.cursor, self._at(file.key), run_id, file.key)

    def _receipts(
        self, lines: Sequence[sql.IndexedLine], scores: Sequence[RunScore], samples: Sequence[PlacedSample]
    ) -> Iterator[ReceiptOf]:
        for line in lines:
            partition = self._day(line.source_key)
            day = day_of(line.source_key, line.stream)
            if partition is not None and partition.receipt and any(f.key == line.evidence_key for f in partition.files):
                yield ReceiptOf(TABLE + line.stream, str(day), partition.receipt)
        for score in scores:
            yield from self._receipt(SCORED_TABLE, score.dt, self.tables.scored)
        for sample in samples:
            entry = f"{sample.kind}/{sample.build_id}"
            partition = self.tables.builds.partitions.get(entry)
            if partition is not None and partition.receipt:
                yield ReceiptOf(f"exports/{sample.kind}", sample.build_id, partition.receipt)

    def _receipt(self, asset: str, day: date, manifest: TableManifest) -> Iterator[ReceiptOf]:
        partition = manifest.partitions.get(day.isoformat())
        if partition is not None and partition.receipt:
            yield ReceiptOf(asset, day.isoformat(), partition.receipt)

    def _at(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"
