"""Where something of some runs lies: raw lines, evidence, scores, builds.

Belongs here: finding it. Not here: what becomes of it (see retraction.py, erasure.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from lakehouse.adapters.distill_writer import PROVENANCE
from lakehouse.adapters.evidence_lake import (
    BUILDS_TABLE,
    INDEX_TABLE,
    SCORED_TABLE,
    add_relations,
    make_list,
    open_lake,
    root_of,
)
from lakehouse.adapters.evidence_materializer import QUARANTINE, SUPERSEDED
from lakehouse.adapters.evidence_materializer import TABLE as EVIDENCE_TABLES
from lakehouse.adapters.scratch import scratch_folder
from lakehouse.catalog.partitioned import PartitionedTable
from lakehouse.evidence.days import day_of
from lakehouse.evidence.transforms import TRANSFORMS
from lakehouse.query.quoting import quote_text

if TYPE_CHECKING:
    import duckdb

    from lakehouse.adapters.objects import S3Location
    from lakehouse.adapters.words import Words
    from lakehouse.catalog.partitioned import PartitionFile
    from lakehouse.storage.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class HeldLine:
    """A raw line of a run, and the file of evidence that has its record."""

    source_key: str
    line: int
    sha256: str
    evidence_key: str
    status: str


@dataclass(frozen=True, slots=True)
class Held:
    """Everything.

    Attributes:
        lines: Raw lines, in order.
        scores: Days with a score of one of the runs.
        builds: By entry, how many sides of samples are of one of the runs.
    """

    lines: tuple[HeldLine, ...]
    scores: tuple[str, ...]
    builds: dict[str, int]


def find_held(store: ObjectStore, location: S3Location, runs: Sequence[str], *, work_dir: Path) -> Held:
    """Look for runs in everything that serves or is kept.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    with scratch_folder(work_dir, "held-") as folder, open_lake(location, folder) as engine:
        index = PartitionedTable(store, INDEX_TABLE).read()
        add_relations(engine, location.bucket, index, PartitionedTable(store, SCORED_TABLE).read())
        make_list(engine, "retracting", "run_id", sorted(set(runs)))
        lines = [HeldLine(*row) for row in engine.execute(_LINES).fetchall()]
        lines += _superseded(store, engine, root_of(location), lines)
        scores = engine.execute(
            "SELECT DISTINCT dt::VARCHAR FROM scored SEMI JOIN retracting USING (run_id) ORDER BY 1"
        )
        days = tuple(row[0] for row in scores.fetchall())
        return Held(tuple(lines), days, _builds(store, engine, root_of(location)))


def refused_lines(store: ObjectStore, words: Words) -> list[HeldLine]:
    """Raw lines that fitted no stream and have words in them; what was cut off of a long one is not looked at."""
    found = []
    for stream in TRANSFORMS:
        for partition in PartitionedTable(store, EVIDENCE_TABLES + stream).read().partitions.values():
            file = partition.file(QUARANTINE)
            rows = [] if file is None else [row for row in store.get(file.key).body.split(b"\n") if row]
            for row, is_meant in zip(rows, words.are_in(rows), strict=True):
                if is_meant and file is not None:
                    said = orjson.loads(row)
                    found.append(HeldLine(said["source_key"], said["line"], said["sha256"], file.key, "quarantined"))
    return found


def builds_that_hold(
    store: ObjectStore, location: S3Location, runs: Sequence[str], *, work_dir: Path
) -> dict[str, int]:
    """Kept builds that some runs are in, by entry, with how many sides of samples; raises as `find_held`."""
    with scratch_folder(work_dir, "held-") as folder, open_lake(location, folder) as engine:
        make_list(engine, "retracting", "run_id", sorted(set(runs)))
        return _builds(store, engine, root_of(location))


_LINES = """
SELECT source_key, line, sha256, evidence_key, status FROM evidence_index SEMI JOIN retracting USING (run_id)
ORDER BY source_key, line"""


def _superseded(
    store: ObjectStore, engine: duckdb.DuckDBPyConnection, root: str, lines: Sequence[HeldLine]
) -> list[HeldLine]:
    """Lines that a later one of the same day corrected, which the index does not have."""
    found = []
    for file in _superseded_files(store, lines):
        rows = engine.execute(
            "SELECT provenance.source_key, provenance.line, provenance.sha256,"
            f" {quote_text(file.key)}, 'corrected'"
            f" FROM read_parquet([{quote_text(root + file.key)}], hive_partitioning = false)"
            " SEMI JOIN retracting USING (run_id) ORDER BY 1, 2"
        ).fetchall()
        found += [HeldLine(*row) for row in rows]
    return found


def _superseded_files(store: ObjectStore, lines: Sequence[HeldLine]) -> list[PartitionFile]:
    days = {(key.split("/")[1], key) for key in {line.source_key for line in lines}}
    wanted = {(stream, day_of(key, stream)) for stream, key in days if stream in TRANSFORMS}
    found = []
    for stream in sorted({stream for stream, _ in wanted}):
        manifest = PartitionedTable(store, EVIDENCE_TABLES + stream).read()
        for day in sorted(str(day) for name, day in wanted if name == stream):
            partition = manifest.partitions.get(day)
            file = None if partition is None else partition.file(SUPERSEDED)
            if file is not None:
                found.append(file)
    return found


def _builds(store: ObjectStore, engine: duckdb.DuckDBPyConnection, root: str) -> dict[str, int]:
    found = {}
    for entry, partition in sorted(PartitionedTable(store, BUILDS_TABLE).read().partitions.items()):
        file = partition.file(PROVENANCE)
        if file is None or not file.rows:
            continue
        row = engine.execute(
            f"SELECT count(*) FROM (SELECT unnest([run_id, other_run_id]) AS run_id FROM read_parquet(["
            f"{quote_text(root + file.key)}])) SEMI JOIN retracting USING (run_id)"
        ).fetchone()
        if row and row[0]:
            found[entry] = int(row[0])
    return found
