"""The statements of lineage, each over one file or the table of the engine, and their rows as values.

Values are literals in the SQL text: a filter that is known when the statement is planned reads only one row group of a
file that is sorted by that column.

Belongs here: text and rows. Not here: which files (see lineage_reader.py), the engine (see lineage_engine.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakehouse.lineage.answer import PlacedSample, RunScore, Status
from lakehouse.query.quoting import quote_text

if TYPE_CHECKING:
    import duckdb

_PLACED = 'kind, build_id, sample_id, form, split, "row", openai_row, rows, side, run_id, sha256'
# A row holds 64 KiB of the line, each byte of which may be escaped.
_MOST_ROW_BYTES = 1 << 20
_IN_ORDER = "ORDER BY kind, build_id, sample_id, side DESC"


@dataclass(frozen=True, slots=True)
class IndexedLine:
    """A raw line as evidence names it; `run_id` is None where it was refused."""

    run_id: str | None
    source_key: str
    line: int
    sha256: str
    stream: str
    status: Status
    evidence_key: str | None = None


def lines_of_run(cursor: duckdb.DuckDBPyConnection, index: str, run_id: str) -> list[IndexedLine]:
    """The lines of a run, the one that serves first.

    Args:
        cursor: Of the engine.
        index: Where the index lies.
        run_id: The run.
    """
    rows = cursor.execute(
        "SELECT run_id, source_key, line, sha256, stream, status, evidence_key"
        f" FROM read_parquet([{quote_text(index)}]) WHERE run_id = {quote_text(run_id)}"
        " ORDER BY status <> 'serves', source_key, line"
    ).fetchall()
    return [IndexedLine(*row) for row in rows]


def subjects_of_run(cursor: duckdb.DuckDBPyConnection, file: str, run_id: str) -> list[str]:
    """The SHA-256 of each retracted subject that occurs in a run."""
    rows = cursor.execute(
        f"SELECT DISTINCT subject FROM read_parquet([{quote_text(file)}]) WHERE run_id = {quote_text(run_id)}"
    ).fetchall()
    return [row[0] for row in rows]


def runs_of_line(cursor: duckdb.DuckDBPyConnection, index: str, source_key: str, line: int) -> list[str]:
    """The runs that a raw line became a record of; one, as long as evidence is sound."""
    rows = cursor.execute(
        f"SELECT DISTINCT run_id FROM read_parquet([{quote_text(index)}])"
        f" WHERE source_key = {quote_text(source_key)} AND line = {line} ORDER BY run_id"
    ).fetchall()
    return [row[0] for row in rows]


def superseded(
    cursor: duckdb.DuckDBPyConnection, file: str, source_key: str, *, line: int | None, run_id: str | None
) -> list[IndexedLine]:
    """Records that a later line of the same day corrected: of a line of a raw object, or of a run."""
    conditions = [] if run_id is None else [f"run_id = {quote_text(run_id)}"]
    if line is not None:
        conditions += [f"provenance.source_key = {quote_text(source_key)}", f"provenance.line = {line}"]
    rows = cursor.execute(
        "SELECT run_id, provenance.source_key, provenance.line, provenance.sha256, stream, 'corrected'"
        f" FROM read_parquet([{quote_text(file)}], hive_partitioning = false) WHERE {' AND '.join(conditions)}"
        " ORDER BY 2, 3"
    ).fetchall()
    return [IndexedLine(*row) for row in rows]


def quarantined(
    cursor: duckdb.DuckDBPyConnection, file: str, source_key: str, *, line: int | None
) -> list[IndexedLine]:
    """A line that was refused, if it was."""
    columns = "{'source_key': 'VARCHAR', 'line': 'BIGINT', 'sha256': 'VARCHAR'}"
    rows = cursor.execute(
        "SELECT NULL, source_key, line, sha256, split_part(source_key, '/', 2), 'quarantined'"
        f" FROM read_json([{quote_text(file)}], columns = {columns}, format = 'newline_delimited',"
        f" maximum_object_size = {_MOST_ROW_BYTES}) WHERE source_key = {quote_text(source_key)} AND line = {line or 0}"
    ).fetchall()
    return [IndexedLine(*row) for row in rows]


def scores_of(cursor: duckdb.DuckDBPyConnection, file: str, run_id: str, key: str) -> list[RunScore]:
    """The scores of a run in the file of a day."""
    rows = cursor.execute(
        f"SELECT dt, stream, score, rule, rules_version, record_sha256, {quote_text(key)}"
        f" FROM read_parquet([{quote_text(file)}], hive_partitioning = false) WHERE run_id = {quote_text(run_id)}"
        " ORDER BY stream"
    ).fetchall()
    return [RunScore(*row) for row in rows]


def samples_of(cursor: duckdb.DuckDBPyConnection, sample_id: str) -> list[PlacedSample]:
    """A sample in every build that has it, a row for each side."""
    text = quote_text(sample_id)
    return _placed(cursor, f"sample_hash = hash({text}) AND sample_id = {text} {_IN_ORDER}")


def contents_of_build(cursor: duckdb.DuckDBPyConnection, entry: str) -> tuple[int, int, str]:
    """How many samples of how many runs a build has, and the id of the first of them.

    Args:
        cursor: Of the engine.
        entry: `<kind>/<build_id>`.
    """
    kind, _, build_id = entry.partition("/")
    (found,) = cursor.execute(
        "SELECT count(DISTINCT sample_id), count(DISTINCT run_id), coalesce(min(sample_id), '') FROM placed"
        f" WHERE kind = {quote_text(kind)} AND build_id = {quote_text(build_id)}"
    ).fetchall()
    return found[0], found[1], found[2]


def samples_of_run(cursor: duckdb.DuckDBPyConnection, run_id: str, most: int) -> list[PlacedSample]:
    """The samples that a run is in, of all builds."""
    text = quote_text(run_id)
    return _placed(cursor, f"run_hash = hash({text}) AND run_id = {text} {_IN_ORDER} LIMIT {most}")


def _placed(cursor: duckdb.DuckDBPyConnection, wanted: str) -> list[PlacedSample]:
    rows: Sequence[tuple[object, ...]] = cursor.execute(f"SELECT {_PLACED} FROM placed WHERE {wanted}").fetchall()
    return [PlacedSample(*row) for row in rows]  # type: ignore[arg-type]
