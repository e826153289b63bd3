"""Parquet to Parquet: the same columns in row groups of our size.

Belongs here: the rewriting of one file. Not here: reading its footer (see parquet_footer.py).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lakehouse.adapters.conversion_columns import drift
from lakehouse.adapters.conversion_pii import mark_personal
from lakehouse.adapters.conversion_writing import write_parquet
from lakehouse.adapters.parquet_footer import read_footer
from lakehouse.catalog.manifest import Column
from lakehouse.errors import BadInput, Unprocessable
from lakehouse.ingest.conversion import ConversionRequest, Converted
from lakehouse.ingest.csv_scanner import check_header
from lakehouse.query.quoting import quote_name, quote_text

if TYPE_CHECKING:
    import duckdb

_DECIMAL = re.compile(r"DECIMAL\((\d+),")
_MOST_DIGITS = 38


def convert_parquet(engine: duckdb.DuckDBPyConnection, request: ConversionRequest) -> Converted:
    """Convert a Parquet file; columns must have exactly the registered types, whatever their order."""
    import duckdb

    if request.options.types:
        raise BadInput("types is for CSV and JSON; a Parquet file brings its own", option="types")
    facts = read_footer(request.source)
    if not facts.columns:
        raise Unprocessable("the Parquet file has no columns: nothing was loaded")
    check_header([name for name, _ in facts.columns], 0)
    found = dict(facts.columns)
    for name, type_ in facts.columns:
        wide = _DECIMAL.search(type_)
        if wide is not None and int(wide[1]) > _MOST_DIGITS:
            reason = f"column {name!r} is {type_}, and SQL holds at most {_MOST_DIGITS} digits"
            raise Unprocessable(f"{reason}; write it with fewer, or as text", reason=reason, column=name)
    registered = {c.name: c.type for c in request.registered} if request.registered else found
    if found != registered:
        raise drift(
            {
                "added": [{"name": n} for n in found if n not in registered],
                "gone": [{"name": n, "type": t} for n, t in registered.items() if n not in found],
                "retyped": [
                    {"name": n, "from": t, "to": found[n]} for n, t in registered.items() if found.get(n, t) != t
                ],
            }
        )
    target = request.work_dir / "out.parquet"
    source = f"read_parquet({quote_text(str(request.source))})"
    selected = ", ".join(quote_name(n) for n in registered)
    engine.execute("SET preserve_insertion_order = false")
    try:
        row_count = write_parquet(engine, f"SELECT {selected} FROM {source}", target)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        said = str(error).splitlines()[0].replace(f' file "{request.source}"', "")
        raise Unprocessable(f"the Parquet file is damaged: {said[:200]}; write or send it again") from None
    marked = {c.name for c in request.registered or () if c.pii} | request.options.pii
    written = tuple(Column(n, t, n in marked) for n, t in registered.items())
    return Converted(mark_personal(engine, target, written, row_count), target, row_count)
