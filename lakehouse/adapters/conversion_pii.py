"""Personal columns, found in what was written: stretches of a Parquet file are looked at, wherever its values stand.

Belongs here: which values are looked at. Not here: what makes them personal (see lakehouse/ingest/pii.py).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.catalog.manifest import Column
from lakehouse.ingest.pii import is_personal
from lakehouse.query.quoting import quote_name, quote_text

if TYPE_CHECKING:
    import duckdb

_STRETCH_ROWS = 400
_FEW = 50
_MOST_SPARSE = 100
_MOST_CHARACTERS = 300
# Of other types no value is an e-mail, a phone or an address; an SSN without hyphens is a whole number, and a list
# or a structure may hold anything.
_NEVER = (
    "BOOLEAN",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE",
    "INTERVAL",
    "FLOAT",
    "DOUBLE",
    "BLOB",
    "UUID",
)


def mark_personal(
    engine: duckdb.DuckDBPyConnection, parquet: Path, columns: tuple[Column, ...], row_count: int
) -> tuple[Column, ...]:
    """Mark the columns that look personal by their name and values; what is marked stays so.

    The first, the middle and the last rows are looked at, each for itself: a file may change its mind halfway. Of a
    column with few values there, those that it has are looked for.
    """
    open_names = [c.name for c in columns if not c.pii and c.type not in _NEVER]
    last = max(0, row_count - _STRETCH_ROWS)
    stretches = [_stretch(engine, parquet, open_names, start) for start in sorted({0, last // 2, last})]
    sparse = [name for name in open_names if sum(len(stretch[name]) for stretch in stretches) < _FEW]
    is_seen_whole = row_count <= len(stretches) * _STRETCH_ROWS
    looked_for = set() if is_seen_whole else set(sparse[:_MOST_SPARSE])
    found = set()
    for name in open_names:
        samples = [stretch[name] for stretch in stretches]
        if name in looked_for:
            samples.append(_values(engine, parquet, name))
        if any(is_personal(name, sample) for sample in samples if sample or not any(samples)):
            found.add(name)
    return tuple(replace(c, pii=c.pii or c.name in found) for c in columns)


def _stretch(engine: duckdb.DuckDBPyConnection, parquet: Path, names: list[str], start: int) -> dict[str, list[str]]:
    if not names:
        return {}
    # Groups of rows outside the stretch are not read.
    rows = engine.execute(
        f"SELECT {', '.join(map(_shown, names))} FROM read_parquet({quote_text(str(parquet))}, file_row_number = true)"
        f" WHERE file_row_number BETWEEN {start} AND {start + _STRETCH_ROWS - 1}"
    ).fetchall()
    return {name: [row[i] for row in rows if row[i]] for i, name in enumerate(names)}


def _values(engine: duckdb.DuckDBPyConnection, parquet: Path, name: str) -> list[str]:
    rows = engine.execute(
        f"SELECT {_shown(name)} FROM read_parquet({quote_text(str(parquet))}) WHERE {quote_name(name)} IS NOT NULL"
        f" LIMIT {_STRETCH_ROWS}"
    ).fetchall()
    return [row[0] for row in rows if row[0]]


def _shown(name: str) -> str:
    return f"CAST({quote_name(name)} AS VARCHAR)[:{_MOST_CHARACTERS}]"
