"""Finding personal columns: the values in some stretches of the written Parquet file are looked at.

Belongs here: which values are looked at. Not here: what makes them personal (see lakehouse/ingest/pii.py).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.catalog.manifest import Column
from lakehouse.ingest.pii import is_personal, says_personal
from lakehouse.query.quoting import quote_name, quote_text

if TYPE_CHECKING:
    import duckdb

_STRETCH_ROWS = 400
_FEW = 50
_MOST_SPARSE = 100
_MOST_CHARACTERS = 300
# Characters of a list or structure that are looked at: its values come late in its text.
_MOST_NESTED_CHARACTERS = 2000
# No value of these types is an e-mail, a phone or an address; an SSN without hyphens is a whole number, and a list or a
# structure may hold anything.
_NEVER = (
    "BOOLEAN",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE",
    "INTERVAL",
    "UUID",
)
# Types that are looked at only when the column's name suggests it: a number looks like a phone only by its name, and
# bytes may be large.
_BY_NAME = ("FLOAT", "DOUBLE", "BLOB")


def mark_personal(
    engine: duckdb.DuckDBPyConnection, parquet: Path, columns: tuple[Column, ...], row_count: int
) -> tuple[Column, ...]:
    """Mark the columns that look personal by their name and values; what is marked stays so.

    The first, the middle and the last rows are judged separately, as a file may change halfway. Where a column has few
    values in these rows, its values elsewhere are looked for.
    """
    types = {c.name: c.type for c in columns if not c.pii and _is_open(c)}
    open_names = list(types)
    last = max(0, row_count - _STRETCH_ROWS)
    stretches = [_stretch(engine, parquet, types, start) for start in sorted({0, last // 2, last})]
    sparse = [name for name in open_names if sum(len(stretch[name]) for stretch in stretches) < _FEW]
    is_seen_whole = row_count <= len(stretches) * _STRETCH_ROWS
    looked_for = set() if is_seen_whole else set(sparse[:_MOST_SPARSE])
    found = set()
    for name in open_names:
        samples = [stretch[name] for stretch in stretches]
        if name in looked_for:
            samples.append(_values(engine, parquet, name, types[name]))
        if any(is_personal(name, sample) for sample in samples if sample or not any(samples)):
            found.add(name)
    return tuple(replace(c, pii=c.pii or c.name in found) for c in columns)


def _is_open(column: Column) -> bool:
    """True for a column whose values may be personal."""
    return column.type not in _NEVER and (column.type not in _BY_NAME or says_personal(column.name))


def _stretch(
    engine: duckdb.DuckDBPyConnection, parquet: Path, types: dict[str, str], start: int
) -> dict[str, list[str]]:
    if not types:
        return {}
    shown = ", ".join(_shown(*column) for column in types.items())
    # DuckDB skips row groups outside the stretch.
    rows = engine.execute(
        f"SELECT {shown} FROM read_parquet({quote_text(str(parquet))}, file_row_number = true)"
        f" WHERE file_row_number BETWEEN {start} AND {start + _STRETCH_ROWS - 1}"
    ).fetchall()
    return {name: [_cut(row[i], type_) for row in rows if row[i]] for i, (name, type_) in enumerate(types.items())}


def _values(engine: duckdb.DuckDBPyConnection, parquet: Path, name: str, type_: str) -> list[str]:
    rows = engine.execute(
        f"SELECT {_shown(name, type_)} FROM read_parquet({quote_text(str(parquet))})"
        f" WHERE {quote_name(name)} IS NOT NULL LIMIT {_STRETCH_ROWS}"
    ).fetchall()
    return [_cut(row[0], type_) for row in rows if row[0]]


def _shown(name: str, type_: str) -> str:
    """A value as text: of a long one its beginning, of a whole number its digits, whatever type holds it."""
    text = f"CAST({quote_name(name)} AS VARCHAR)"
    if type_ in ("FLOAT", "DOUBLE"):
        return f"regexp_replace({text}, '[.]0$', '')"
    return f"{text}[:{_MOST_NESTED_CHARACTERS}]"


def _cut(text: str, type_: str) -> str:
    """Of a text that is no list or structure, less.

    Here and not in SQL: the condition, for each of 500 columns, is planned for seconds.
    """
    is_plain = type_ in ("VARCHAR", "JSON") and text[0] not in "{["
    return text[:_MOST_CHARACTERS] if is_plain else text
