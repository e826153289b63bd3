"""The lines of the evidence index, judged: which one of a run's serves, and which ones it has left behind.

Of one run's lines the latest `timestamp` serves, then the larger SHA-256 (CONTRACTS.md section 9); of equal lines the
first by key of the raw object and line. A run that was retracted serves no more. What is said of a line is a function
of all lines, whatever came in which order: judged again from scratch, the files have the same bytes.

Belongs here: the statements, the two files. Not here: which files are judged, and when (see evidence_index.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.adapters.evidence_lake import INDEX_TABLE, empty, make_list
from lakehouse.query.quoting import quote_text

if TYPE_CHECKING:
    import duckdb

STATUSES = ("serves", "corrected", "duplicate", "retracted")
_PARQUET = "FORMAT parquet, ROW_GROUP_SIZE 20480, COMPRESSION zstd, COMPRESSION_LEVEL 1"
_FROM_EVIDENCE = """
SELECT run_id, task_id, stream, timestamp, provenance.source_key AS source_key, provenance.line AS line,
  provenance.sha256 AS sha256, model_name, substr(filename, {skip}) AS evidence_key
FROM read_parquet([{files}], filename = true, hive_partitioning = false)"""
_COLUMNS = "run_id, task_id, stream, timestamp, source_key, line, sha256, model_name, evidence_key"
# Only runs with several lines are ranked. They are few, and a window over all runs would take much memory.
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
_ORDER = "ORDER BY run_id, status DESC, source_key, line"


@dataclass(frozen=True, slots=True)
class ToJudge:
    """What an index is made of.

    Attributes:
        root: What stands before a key for the engine to read it, such as `s3://bucket/`.
        before: Key of the index before, of which lines are taken over; None: there is none, or it is of no use.
        named: Keys of all files of evidence.
        new: Those of them that the index before does not know.
        retracted: Runs that serve no more.
    """

    root: str
    before: str | None
    named: Sequence[str]
    new: Sequence[str]
    retracted: Sequence[str]


@dataclass(frozen=True, slots=True)
class Judged:
    """The files, local: every line with its status, the place of those that do not serve; lines by status."""

    index: Path
    excluded: Path
    counts: Mapping[str, int]

    @property
    def rows(self) -> int:
        """How many lines there are."""
        return sum(self.counts.values())

    @property
    def excluded_rows(self) -> int:
        """How many of them do not serve."""
        return self.rows - self.counts["serves"]


def judge_lines(engine: duckdb.DuckDBPyConnection, task: ToJudge, folder: Path) -> Judged:
    """Judge all lines.

    Args:
        engine: Empty; of `open_lake`.
        task: What is judged.
        folder: Where the files are made.
    """
    _gather(engine, task)
    make_list(engine, "retracted", "run_id", task.retracted)
    engine.execute(_JUDGED)
    found = dict(engine.execute("SELECT status, count(*) FROM judged GROUP BY 1").fetchall())
    index, excluded = folder / "index.parquet", folder / "excluded.parquet"
    engine.execute(f"COPY (FROM judged {_ORDER}) TO {quote_text(str(index))} ({_PARQUET})")
    engine.execute(
        f"COPY (SELECT source_key, line, run_id, status FROM judged WHERE status <> 'serves' {_ORDER})"
        f" TO {quote_text(str(excluded))} ({_PARQUET})"
    )
    return Judged(index, excluded, {status: int(found.get(status, 0)) for status in STATUSES})


def _gather(engine: duckdb.DuckDBPyConnection, task: ToJudge) -> None:
    """Make the relation `lines`: those that stay of the index before, and those of new files."""
    parts = []
    if task.before is not None:
        make_list(engine, "named", "evidence_key", task.named)
        source = f"read_parquet([{quote_text(task.root + task.before)}], hive_partitioning = false)"
        parts.append(f"SELECT {_COLUMNS} FROM {source} SEMI JOIN named USING (evidence_key)")
    if task.new:
        files = ", ".join(quote_text(task.root + key) for key in task.new)
        parts.append(_FROM_EVIDENCE.format(skip=len(task.root) + 1, files=files))
    if not parts:
        parts.append(f"SELECT {_COLUMNS} FROM {empty(INDEX_TABLE)}")
    engine.execute(f"CREATE TABLE lines AS {' UNION ALL '.join(parts)}")
