"""The index of evidence: where the line of every run is, which one serves, and which ones it has left behind.

Of one run's lines the latest `timestamp` serves, then the larger SHA-256 (CONTRACTS.md section 9); of equal lines the
first by key of the raw object and line. A run that was retracted serves no more. The index is a function of what the
streams' manifests name, whatever came in which order: `serves`, `corrected`, `duplicate` or `retracted` is said of
each line that became a record.

Belongs here: bringing the index up to date, its lines. Not here: records (see evidence_materializer.py), reading
through it (see evidence_lake.py).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from lakehouse.adapters.evidence_lake import CURRENT, EVIDENCE, EXCLUDED, INDEX, INDEX_TABLE, empty, open_lake
from lakehouse.adapters.evidence_materializer import TABLE
from lakehouse.adapters.object_publish import publish
from lakehouse.adapters.objects import S3Location
from lakehouse.catalog.partitioned import Partition, PartitionedTable, PartitionFile, TableManifest
from lakehouse.clock import utc_now
from lakehouse.evidence.transforms import TRANSFORMS
from lakehouse.query.quoting import quote_text
from lakehouse.storage.objects import ObjectStore

if TYPE_CHECKING:
    import duckdb

_CODE_VERSION = "1"
_FOLDER = "evidence/index/"
_VERSION = "version of "
_PARQUET = "FORMAT parquet, ROW_GROUP_SIZE 20480, COMPRESSION zstd, COMPRESSION_LEVEL 1"
_FROM_EVIDENCE = """
SELECT run_id, task_id, stream, timestamp, provenance.source_key AS source_key, provenance.line AS line,
  provenance.sha256 AS sha256, model_name, substr(filename, {skip}) AS evidence_key
FROM read_parquet([{files}], filename = true, hive_partitioning = false)"""
_COLUMNS = "run_id, task_id, stream, timestamp, source_key, line, sha256, model_name, evidence_key"
# Only runs with several lines are ranked: they are few, and a window over all of them is what takes the memory.
_JUDGED = f"""
CREATE TABLE judged AS
WITH shared AS (SELECT run_id FROM lines GROUP BY run_id HAVING count(*) > 1),
copies AS (
  SELECT *, row_number() OVER (PARTITION BY run_id, sha256 ORDER BY source_key, line) > 1 AS is_copy
  FROM lines SEMI JOIN shared USING (run_id)
),
ranked AS (
  SELECT {_COLUMNS}, CASE WHEN is_copy THEN 'duplicate'
    WHEN row_number() OVER (PARTITION BY run_id, is_copy ORDER BY timestamp DESC, sha256 DESC) > 1 THEN 'corrected'
    ELSE 'serves' END AS status
  FROM copies
),
together AS (
  SELECT * FROM ranked
  UNION ALL SELECT {_COLUMNS}, 'serves' FROM lines ANTI JOIN shared USING (run_id)
)
SELECT * REPLACE (CASE WHEN run_id IN (SELECT run_id FROM retracted) THEN 'retracted' ELSE status END AS status)
FROM together"""


class EvidenceIndex:
    """The index of one bucket.

    Args:
        store: The bucket.
        location: The same for engines, with keys that may read.
        work_dir: Local folder for files on their way.
        retracted: Gives the runs that serve no more.
        clock: The time now.
    """

    def __init__(
        self,
        store: ObjectStore,
        location: S3Location,
        *,
        work_dir: Path,
        retracted: Callable[[], Sequence[str]] = lambda: (),
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._location = location
        self._work_dir = work_dir
        self._retracted = retracted
        self._table = PartitionedTable(store, INDEX_TABLE, clock=clock)
        self._clock = clock

    def read(self) -> TableManifest:
        """The manifest of the index as it serves."""
        return self._table.read()

    def refresh(self) -> tuple[TableManifest, bool]:
        """Bring the index up to what the streams' manifests name.

        Returns:
            Its manifest, and whether there was anything to do.

        Raises:
            StoreUnavailable: The store does not answer; what served goes on serving.
        """
        retracted = sorted(set(self._retracted()))
        manifests = self._streams()
        live = self._table.read()
        before = live.partitions.get(CURRENT)
        fingerprint = _fingerprint(manifests, retracted)
        if before is not None and before.fingerprint == fingerprint:
            return live, False
        made = self._make(before, manifests, retracted, fingerprint)

        def update(now: TableManifest) -> dict[str, Partition]:
            there = now.partitions.get(CURRENT)
            return {} if there is not None and _is_newer(there, made) else {CURRENT: made}

        return self._table.commit(update), True

    def _streams(self) -> dict[str, TableManifest]:
        with ThreadPoolExecutor(len(TRANSFORMS)) as pool:
            read = pool.map(lambda stream: PartitionedTable(self._store, TABLE + stream).read(), TRANSFORMS)
            return dict(zip(TRANSFORMS, read, strict=True))

    def _make(
        self,
        before: Partition | None,
        manifests: Mapping[str, TableManifest],
        retracted: Sequence[str],
        fingerprint: str,
    ) -> Partition:
        named = _evidence_files(manifests)
        known = {} if before is None else {f.key for f in before.files if f.role == EVIDENCE}
        new = [file.key for file in named if file.key not in known]
        self._work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="index-", dir=self._work_dir) as name:
            folder = Path(name)
            with open_lake(self._location, folder) as engine:
                self._gather(engine, before, {file.key for file in named}, new)
                engine.execute("CREATE TABLE retracted (run_id VARCHAR)")
                if retracted:
                    engine.execute("INSERT INTO retracted SELECT unnest(?)", [list(retracted)])
                engine.execute(_JUDGED)
                counts = {
                    str(status): int(count)
                    for status, count in engine.execute("SELECT status, count(*) FROM judged GROUP BY 1").fetchall()
                }
                order = "ORDER BY run_id, status DESC, source_key, line"
                index, excluded = folder / "index.parquet", folder / "excluded.parquet"
                engine.execute(f"COPY (FROM judged {order}) TO {quote_text(str(index))} ({_PARQUET})")
                engine.execute(
                    f"COPY (SELECT source_key, line, run_id, status FROM judged WHERE status <> 'serves' {order})"
                    f" TO {quote_text(str(excluded))} ({_PARQUET})"
                )
            total = sum(counts.values())
            files = [
                self._publish(index, INDEX, total),
                self._publish(excluded, EXCLUDED, total - counts.get("serves", 0)),
            ]
        versions = {f"{_VERSION}{stream}": manifest.version for stream, manifest in manifests.items()}
        said = {name: counts.get(name, 0) for name in ("serves", "corrected", "duplicate", "retracted")}
        evidence = tuple(PartitionFile(EVIDENCE, f.key, f.size, f.sha256, f.rows) for f in named)
        return Partition(fingerprint, (*files, *evidence), {**said, **versions})

    def _gather(
        self, engine: duckdb.DuckDBPyConnection, before: Partition | None, named: set[str], new: Sequence[str]
    ) -> None:
        """Make the relation `lines`: those that stay of the index before, and those of new files."""
        at = f"s3://{self._location.bucket}/"
        parts = []
        index = None if before is None else before.file(INDEX)
        if index is not None and index.rows:
            engine.execute("CREATE TABLE named (evidence_key VARCHAR)")
            engine.execute("INSERT INTO named SELECT unnest(?)", [sorted(named)])
            source = f"read_parquet([{quote_text(at + index.key)}])"
            parts.append(f"SELECT {_COLUMNS} FROM {source} SEMI JOIN named USING (evidence_key)")
        if new:
            files = ", ".join(quote_text(at + key) for key in new)
            parts.append(_FROM_EVIDENCE.format(skip=len(at) + 1, files=files))
        if not parts:
            parts.append(f"SELECT {_COLUMNS} FROM {empty(INDEX_TABLE)}")
        engine.execute(f"CREATE TABLE lines AS {' UNION ALL '.join(parts)}")

    def _publish(self, path: Path, role: str, rows: int) -> PartitionFile:
        one = publish(self._store, path, lambda sha256: f"{_FOLDER}{role}-{sha256}.parquet", clock=self._clock)
        return PartitionFile(role, one.key, one.size, one.sha256, rows)


def _evidence_files(manifests: Mapping[str, TableManifest]) -> list[PartitionFile]:
    files = (
        partition.file(EVIDENCE)
        for _, manifest in sorted(manifests.items())
        for _, partition in sorted(manifest.partitions.items())
    )
    return [file for file in files if file is not None]


def _fingerprint(manifests: Mapping[str, TableManifest], retracted: Sequence[str]) -> str:
    said = [_CODE_VERSION, [[f.key, f.sha256] for f in _evidence_files(manifests)], list(retracted)]
    return hashlib.sha256(orjson.dumps(said)).hexdigest()


def _is_newer(there: Partition, made: Partition) -> bool:
    """Whether an index was made of later manifests: one that was begun earlier must not take its place."""
    versions = [name for name in made.counts if name.startswith(_VERSION)]
    return any(there.counts.get(name, 0) > made.counts[name] for name in versions)
