"""The Parquet that a conversion writes, whatever the format it reads.

Belongs here: its form, and a disk that has no room for it. Not here: what is read (see conversion_csv.py,
conversion_json.py, conversion_parquet.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.adapters.full_disk import no_room_in
from lakehouse.errors import InsufficientStorage
from lakehouse.query.quoting import quote_text

if TYPE_CHECKING:
    import duckdb

# Small groups: an engine of bounded memory holds one per thread, and readers prune by them.
# zstd: half the bytes of snappy to hash, send and fsync, for a tenth more of the engine's time.
_PARQUET = "FORMAT parquet, ROW_GROUP_SIZE 20480, COMPRESSION zstd, COMPRESSION_LEVEL 1"


def write_parquet(engine: duckdb.DuckDBPyConnection, query: str, target: Path) -> int:
    """Write what a query gives into a Parquet file.

    Returns:
        How many rows it has.

    Raises:
        InsufficientStorage: The disk is full; it is not the file that is wrong.
        duckdb.Error: The query failed.
    """
    import duckdb

    try:
        row = engine.execute(f"COPY ({query}) TO {quote_text(str(target))} ({_PARQUET})").fetchone()
    except duckdb.IOException as error:
        if no_room := no_room_in(str(error)):
            told = f"the conversion could not write its files: {no_room}; make room, then send it again"
            raise InsufficientStorage(told) from None
        raise
    return int(row[0]) if row else 0
