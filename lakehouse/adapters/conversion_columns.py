"""The columns of a file compared with those that are asked for or registered, for every format.

Belongs here: types that are given and not inferred, and the refusal of a file that does not fit them. Not here: the
reading of values (see conversion_csv.py, conversion_json.py, conversion_parquet.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lakehouse.errors import BadInput, Conflict
from lakehouse.ingest.conversion import ConversionRequest
from lakehouse.ingest.grammar import sql_check
from lakehouse.ingest.ways_out import EVOLVE
from lakehouse.query.quoting import quote_name

# What the engine may take, and what it needs for each column on top (buffers of the reader and the writer).
MEMORY_MB = 220
_COLUMN_KB = 110
# More columns than this are converted by one thread.
WIDE = 1500
_WIDE_COLUMN_KB = 200
_MOST_MEMORY_MB = 2048
_RECORDS_HELD = 16
# Stands in the engine's message when a value does not fit its column.
MISFIT = "lakehouse-misfit"


def memory_limit(column_count: int, record_bytes: int = 0) -> str:
    """The engine's memory limit for a file of so many columns and such long records, as DuckDB writes it."""
    column_kb = _WIDE_COLUMN_KB if column_count > WIDE else _COLUMN_KB
    wanted = MEMORY_MB + column_count * column_kb // 1000 + _RECORDS_HELD * record_bytes // 1_000_000
    return f"{min(wanted, _MOST_MEMORY_MB)}MB"


def fixed_types(names: Sequence[str], request: ConversionRequest) -> dict[str, str]:
    """Types that are given and not inferred from values: those of registered columns and of the options.

    Raises:
        BadInput: `types` names a column that the file has not.
        Conflict: The file's columns are not the registered ones.
    """
    asked = {**request.options.types, **request.types}
    unknown = sorted((set(asked) | request.options.pii) - set(names))
    if unknown:
        raise BadInput(f"types names {unknown[0]!r}, which is not a column of the file; it has {', '.join(names)}")
    if request.registered is None:
        return asked
    registered = {c.name: c.type for c in request.registered}
    added: list[dict[str, object]] = [{"name": n} for n in names if n not in registered]
    gone: list[dict[str, object]] = [{"name": n, "type": t} for n, t in registered.items() if n not in names]
    retyped: list[dict[str, object]] = [
        {"name": n, "from": registered[n], "to": t} for n, t in asked.items() if registered.get(n) not in (None, t)
    ]
    if added or gone or retyped:
        raise drift({"added": added, "gone": gone, "retyped": retyped})
    return registered


def drift(diff: Mapping[str, list[dict[str, object]]]) -> Conflict:
    """The refusal of a file whose columns or values are not the registered ones, with the way to accept it."""
    parts = [f"{c['name']!r} is new" for c in diff["added"]] + [f"{c['name']!r} is gone" for c in diff["gone"]]
    for c in diff["retyped"]:
        value = f": {c['value']!r} at line {c['line']} does not fit" if "value" in c else ""
        parts.append(f"{c['name']!r} is registered as {c['from']} and would be {c['to']}{value}")
    return Conflict(
        f"the file does not fit the registered columns: {'; '.join(parts)}. Nothing was changed; {EVOLVE} to"
        " accept it as a new version with new columns",
        diff=dict(diff),
        accept="evolve=true",
    )


def typed_value(name: str, type_: str) -> str:
    """A text column as a type, as SQL that fails with `MISFIT` at a value outside the grammar."""
    column = quote_name(name)
    if type_ == "VARCHAR":
        return column
    value, condition = sql_check(column, type_)
    # The message names the column's value; a constant message would be raised while the query is planned.
    misfit = f"error('{MISFIT} ' || left({column}, 1))"
    return f"CASE WHEN {column} IS NULL THEN NULL WHEN {condition} THEN {value} ELSE {misfit} END AS {column}"
