"""Parquet inspection: what the data files of a dataset really hold, asked of DuckDB over S3.

Belongs here: counts, types and first rows of objects. Not here: users' SQL (see lakehouse/adapters/sql_pool.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse.adapters.duckdb_s3 import QUICK_LOAD, open_way
from lakehouse.adapters.objects import S3Location
from lakehouse.adapters.s3_keys import KeySource
from lakehouse.errors import StoreUnavailable
from lakehouse.query.quoting import quote_name

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY_LIMIT = "512MB"


@dataclass(frozen=True, slots=True)
class ParquetContent:
    """What a Parquet file holds: its rows, and each column with its DuckDB type, in order."""

    row_count: int
    columns: tuple[tuple[str, str], ...]


def inspect_parquet(location: S3Location, keys: Sequence[str]) -> list[ParquetContent]:
    """Count the rows and read the types of each of some objects, from the footers alone; one engine reads all.

    Args:
        location: Bucket, and keys that may read.
        keys: Object keys.

    Raises:
        StoreUnavailable: An object is missing, is no Parquet file, or the store does not answer.
    """
    if not keys:
        return []
    with _engine(location) as engine:
        # The first statement fetches the footers, many at a time; the others find them in the cache.
        engine.execute("SET enable_http_metadata_cache = true")
        engine.execute("SET parquet_metadata_cache = true")
        files = _files(location, keys)
        counts = dict(
            engine.execute("SELECT file_name, num_rows::BIGINT FROM parquet_file_metadata(?)", [files]).fetchall()
        )
        return [ParquetContent(int(counts[file]), _columns(engine, file)) for file in files]


def _columns(engine: DuckDBPyConnection, file: str) -> tuple[tuple[str, str], ...]:
    rows = engine.execute("DESCRIBE SELECT * FROM read_parquet(?, hive_partitioning = false)", [file]).fetchall()
    return tuple((str(row[0]), str(row[1])) for row in rows)


def first_rows(location: S3Location, key: str, names: Sequence[str], *, limit: int) -> list[tuple[Any, ...]]:
    """The first rows of an object, in the order they are stored.

    Args:
        location: Bucket, and keys that may read.
        key: The object's.
        names: Columns, in the order of the answer; one that the object does not have is null in every row.
        limit: Most rows.

    Raises:
        StoreUnavailable: As `inspect_parquet`.
    """
    with _engine(location) as engine:
        [file] = _files(location, [key])
        held = {name.casefold() for name, _ in _columns(engine, file)}
        chosen = ", ".join(quote_name(name) if name.casefold() in held else "NULL" for name in names)
        return engine.execute(f"SELECT {chosen} FROM read_parquet(?) LIMIT ?", [file, limit]).fetchall()


def _files(location: S3Location, keys: Sequence[str]) -> list[str]:
    return [f"s3://{location.bucket}/{key}" for key in keys]


@contextmanager
def _engine(location: S3Location) -> Iterator[DuckDBPyConnection]:
    import duckdb

    try:
        with closing(duckdb.connect(config={**QUICK_LOAD, "threads": 2, "memory_limit": MEMORY_LIMIT})) as engine:
            open_way(
                engine,
                endpoint=location.endpoint,
                region=location.region,
                keys=KeySource(location).current(),
                read_timeout_s=location.read_timeout_s,
                ca_file=location.ca_file,
            )
            yield engine
    except duckdb.Error as error:
        # DuckDB's own message may hold the endpoint; the kind of error is enough here.
        raise StoreUnavailable(f"the data files could not be read ({type(error).__name__})", retry_after_s=5) from None
