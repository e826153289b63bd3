"""Parquet footers, read with pyarrow: columns as DuckDB will see them, and rows.

Belongs here: the footer and the names of types. Not here: the data pages (see lakehouse/adapters/conversion.py).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lakehouse.catalog.register import ParquetFacts
from lakehouse.errors import Unprocessable

_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
_TYPES = {
    "bool": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint8": "UTINYINT",
    "uint16": "USMALLINT",
    "uint32": "UINTEGER",
    "uint64": "UBIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "large_string": "VARCHAR",
    "binary": "BLOB",
    "large_binary": "BLOB",
    "date32[day]": "DATE",
    "time32[ms]": "TIME",
    "time64[us]": "TIME",
    "timestamp[ms]": "TIMESTAMP",
    "timestamp[us]": "TIMESTAMP",
    "timestamp[ns]": "TIMESTAMP_NS",
}


def read_footer(path: Path) -> ParquetFacts:
    """Read the facts of a Parquet file.

    Raises:
        Unprocessable: It is no Parquet, or has a column of a type that SQL could not show.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema, row_count = file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowException, OSError):
        raise Unprocessable(f"the file is not Parquet that can be read: {_why(path)}") from None
    return ParquetFacts(tuple((field.name, _duckdb_type(field.type, field.name)) for field in schema), row_count)


def _why(path: Path) -> str:
    with path.open("rb") as stream:
        head = stream.read(len(_MAGIC))
        stream.seek(-min(len(_MAGIC), path.stat().st_size), os.SEEK_END)
        tail = stream.read()
    if head == _ENCRYPTED:
        return "it is encrypted; write it without encryption"
    if head != _MAGIC:
        return "it does not begin as Parquet does; ingest it as what it is, by its name or `format`"
    if tail != _MAGIC or path.stat().st_size < 3 * len(_MAGIC):
        return "it is cut off, or something stands behind its end; send it whole"
    return "what stands at its end, its footer, is damaged; write or send it again"


def _duckdb_type(type_: Any, column: str) -> str:
    import pyarrow as pa

    if (simple := _TYPES.get(str(type_))) is not None:
        return simple
    if pa.types.is_decimal(type_):
        return f"DECIMAL({type_.precision},{type_.scale})"
    if pa.types.is_timestamp(type_) and type_.tz is not None:
        return "TIMESTAMP WITH TIME ZONE"
    if pa.types.is_dictionary(type_):
        return _duckdb_type(type_.value_type, column)
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return f"{_duckdb_type(type_.value_type, column)}[]"
    raise Unprocessable(
        f"column {column!r} has the type {type_}, which cannot be registered; write it as text (nested: as JSON), "
        "or as another type",
        column=column,
    )
