"""The engine of lineage: a DuckDB that is kept open, over the bucket and a local table of which run is in which build.

A build's provenance is read into the table once, since builds never change; a build that is gone leaves it.

Belongs here: the engine, the table, its deadline. Not here: what is asked (see lineage_reader.py).
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.adapters.distill_writer import PROVENANCE
from lakehouse.adapters.duckdb_engine import translate
from lakehouse.adapters.duckdb_s3 import QUICK_LOAD, open_way
from lakehouse.adapters.objects import S3Location
from lakehouse.adapters.s3_keys import KeySource, S3Keys
from lakehouse.catalog.partitioned import TableManifest
from lakehouse.query.quoting import quote_text

if TYPE_CHECKING:
    import duckdb

_MEMORY_BYTES = 256 << 20
_FILE = "lineage.duckdb"
# Ids are looked up by hash first and then compared: scanning a million hashes takes a millisecond.
_PLACED = """
CREATE TABLE placed (
  kind VARCHAR, build_id VARCHAR, sample_id VARCHAR, form VARCHAR, split VARCHAR, "row" BIGINT, openai_row BIGINT,
  rows BIGINT, side VARCHAR, run_id VARCHAR, sha256 VARCHAR, run_hash UBIGINT, sample_hash UBIGINT
)"""
_SIDE = """
SELECT {kind} AS kind, {build_id} AS build_id, sample_id, form, split, "row", openai_row, rows, '{side}' AS side,
  {prefix}run_id AS run_id, {prefix}sha256 AS sha256, hash({prefix}run_id) AS run_hash, hash(sample_id) AS sample_hash
FROM read_parquet([{file}]) WHERE {prefix}run_id IS NOT NULL"""


class LineageEngine:
    """An engine over one bucket; opened when it is first asked, any number of threads may ask.

    Args:
        location: The bucket's address with read-only keys.
        folder: Its own local folder; what lies there is removed.
    """

    def __init__(self, location: S3Location, folder: Path) -> None:
        self._location = location
        self._folder = folder
        self._keys = KeySource(location)
        self._opened: tuple[S3Keys, duckdb.DuckDBPyConnection] | None = None
        self._builds: dict[str, str] = {}  # by entry, the key of its provenance
        self._lock = threading.Lock()

    @contextmanager
    def cursor(self, builds: TableManifest, *, until_s: float) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection whose table `placed` is that of the builds there are; interrupted at a time of `monotonic`.

        Raises:
            TimedOut: It took too long.
            StoreUnavailable: The store did not answer.
        """
        import duckdb

        timers: list[threading.Timer] = []
        try:
            with self._lock:
                engine = self._engine()
                timers.append(_interrupting(engine, until_s))
                self._bring_up_to_date(engine, builds)
            with engine.cursor() as cursor:
                timers.append(_interrupting(cursor, until_s))
                yield cursor
        except duckdb.Error as error:
            raise translate(error) from None
        finally:
            for timer in timers:
                timer.cancel()

    def close(self) -> None:
        """Close the engine and remove its files."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None
        self._builds.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _engine(self) -> duckdb.DuckDBPyConnection:
        keys = self._keys.current()
        if self._opened is not None and self._opened[0] == keys:
            return self._opened[1]
        self._close()
        self._folder.mkdir(parents=True, exist_ok=True)
        # A file of its own, as somebody may still read the one before.
        engine = _open(self._location, Path(tempfile.mkdtemp(dir=self._folder)), keys)
        self._opened = keys, engine
        return engine

    def _bring_up_to_date(self, engine: duckdb.DuckDBPyConnection, builds: TableManifest) -> None:
        wanted = _provenances(builds)
        if wanted == self._builds:
            return
        for entry in self._builds.keys() - wanted.keys():
            kind, _, build_id = entry.partition("/")
            engine.execute("DELETE FROM placed WHERE kind = ? AND build_id = ?", [kind, build_id])
            del self._builds[entry]
        for entry in sorted(wanted.keys() - self._builds.keys()):
            kind, _, build_id = entry.partition("/")
            file = quote_text(f"s3://{self._location.bucket}/{wanted[entry]}")
            said = {"kind": quote_text(kind), "build_id": quote_text(build_id), "file": file}
            sides = " UNION ALL ".join(
                _SIDE.format(side=side, prefix=prefix, **said) for side, prefix in (("origin", ""), ("other", "other_"))
            )
            engine.execute(f"INSERT INTO placed {sides}")
            self._builds[entry] = wanted[entry]


def _provenances(builds: TableManifest) -> Mapping[str, str]:
    """By entry, the key of its provenance; a build without a sample, or one whose files are gone, has none."""
    found = ((entry, partition.file(PROVENANCE)) for entry, partition in builds.partitions.items())
    return {entry: file.key for entry, file in found if file is not None}


def _interrupting(connection: duckdb.DuckDBPyConnection, until_s: float) -> threading.Timer:
    timer = threading.Timer(max(0.0, until_s - time.monotonic()), connection.interrupt)
    timer.daemon = True
    timer.start()
    return timer


def _open(location: S3Location, folder: Path, keys: S3Keys) -> duckdb.DuckDBPyConnection:
    import duckdb

    engine = duckdb.connect(
        str(folder / _FILE),
        config={
            **QUICK_LOAD,
            "threads": 2,
            "memory_limit": f"{_MEMORY_BYTES}B",
            "temp_directory": str(folder / "spilled"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
        },
    )
    open_way(
        engine,
        endpoint=location.endpoint,
        region=location.region,
        keys=keys,
        read_timeout_s=location.read_timeout_s,
        ca_file=location.ca_file,
    )
    engine.execute("LOAD json")
    # Files never change under their key, so what was read of them once need not be asked for again.
    engine.execute("SET parquet_metadata_cache = true")
    engine.execute("SET validate_external_file_cache = 'NO_VALIDATION'")
    engine.execute(_PLACED)
    return engine
