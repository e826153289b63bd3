"""The conversion child: reads requests from stdin, converts, writes each result or error to stdout with its length.

Belongs here: the process and the choice of a reader. Not here: the readers (see conversion_csv.py, conversion_json.py,
conversion_parquet.py).
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
import traceback
from typing import TYPE_CHECKING

from lakehouse.errors import InsufficientStorage, LakehouseError, Unprocessable

LENGTH = struct.Struct("<Q")

if TYPE_CHECKING:
    import duckdb

    from lakehouse.ingest.conversion import ConversionRequest, Converted


def main() -> None:
    """Serve requests, one after the other, until the parent closes stdin."""
    # Loaded before the first request is there: the parent starts this child ahead.
    import duckdb  # noqa: F401

    from lakehouse.adapters import conversion_csv  # noqa: F401

    answers = os.dup(1)
    os.dup2(2, 1)  # so that nothing a library prints gets into the answers
    requests = sys.stdin.buffer
    with os.fdopen(answers, "wb") as stream:
        while True:
            try:
                request, threads = pickle.load(requests)  # noqa: S301 - from our own parent
            except EOFError:
                return  # the parent has closed stdin, or died
            body = pickle.dumps(_answer(request, threads))
            stream.write(LENGTH.pack(len(body)) + body)
            stream.flush()


def _answer(request: ConversionRequest, threads: int) -> Converted | LakehouseError:
    try:
        return convert(request, threads=threads)
    except LakehouseError as error:
        return error
    except Exception as error:  # no file may end the process, which serves the next one
        traceback.print_exc()
        return LakehouseError(f"the conversion failed by a fault of its own ({type(error).__name__}); the log has more")


def convert(request: ConversionRequest, *, threads: int) -> Converted:
    """Convert one file with the reader of its format; errors as `lakehouse.ingest.conversion.Converter` says."""
    import duckdb

    from lakehouse.adapters.conversion_csv import convert_csv
    from lakehouse.adapters.conversion_json import convert_json
    from lakehouse.adapters.conversion_parquet import convert_parquet

    if request.source.stat().st_size == 0:
        raise Unprocessable("the file is empty: nothing was loaded", record=0, line=1)
    if request.options.format != "parquet":
        _require_text(request)
    readers = {"csv": convert_csv, "json": convert_json, "jsonl": convert_json, "parquet": convert_parquet}
    engine = open_engine(request, threads=threads)
    try:
        return readers[request.options.format](engine, request)
    except (duckdb.OutOfMemoryException, MemoryError):
        raise InsufficientStorage(
            "the conversion ran out of the memory or disk that it may take; split the file, by rows or by columns"
        ) from None
    except OSError as error:
        raise InsufficientStorage(f"the conversion could not write its files: {error.strerror}") from None
    finally:
        engine.close()


def _require_text(request: ConversionRequest) -> None:
    from lakehouse.ingest.file_signatures import HEAD_BYTES, other_than_text

    with request.source.open("rb") as stream:
        found = other_than_text(stream.read(HEAD_BYTES), encoding=request.options.encoding)
    if found is not None:
        raise Unprocessable(f"the file is {found}. Nothing was loaded", record=0, line=1, reason=f"the file is {found}")


def open_engine(request: ConversionRequest, *, threads: int) -> duckdb.DuckDBPyConnection:
    """A DuckDB of bounded memory that spills into the work folder."""
    import duckdb

    from lakehouse.adapters.conversion_columns import memory_limit

    engine = duckdb.connect(
        config={
            "threads": threads,
            "memory_limit": memory_limit(0),
            "temp_directory": str(request.work_dir / "spill"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    engine.execute("SET TimeZone = 'UTC'")  # a time with a zone is read alike on every machine
    return engine


if __name__ == "__main__":
    main()
