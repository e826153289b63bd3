"""A DuckDB over the bucket's evidence: the relations that scoring and corpora are made from.

`evidence` holds the records that serve, one for each run, as the index says; `evidence_index` where each line is and
whether it serves; `scored` the scores by day, where there are any.

Belongs here: the engine, the text of the relations. Not here: what serves (see evidence_index.py), the same views for
users' SQL (see evidence_views.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.adapters.duckdb_s3 import QUICK_LOAD, open_way
from lakehouse.adapters.full_disk import no_room_in
from lakehouse.adapters.objects import S3Location
from lakehouse.adapters.s3_keys import KeySource
from lakehouse.adapters.scratch import scratch_folder
from lakehouse.catalog.partitioned import Partition, TableManifest
from lakehouse.errors import InsufficientStorage, LakehouseError, StoreUnavailable
from lakehouse.query.quoting import quote_name, quote_text
from lakehouse.tables.reserved import RESERVED_VIEWS

if TYPE_CHECKING:
    import duckdb

INDEX_TABLE = "evidence_index"
CURRENT = "current"
EVIDENCE, INDEX, EXCLUDED = "evidence", "index", "excluded"
SCORED_TABLE, SCORED = "scored", "scored"
BUILDS_TABLE = "builds"
SUPERSEDED_BY = "superseded_by"
"""The role of what stands in the place of a build's files once they had to go; its key is the next build's id."""
_MEMORY_BYTES = 768 << 20


def root_of(location: S3Location | Path) -> str:
    """What stands before a key for an engine to read it."""
    return f"{location}/" if isinstance(location, Path) else f"s3://{location.bucket}/"


@contextmanager
def open_lake(
    location: S3Location | Path, folder: Path, *, memory_bytes: int = _MEMORY_BYTES, threads: int = 2
) -> Iterator[duckdb.DuckDBPyConnection]:
    """An engine that reads the bucket, of bounded memory, spilling into a folder.

    Args:
        location: The bucket, with keys that may read; or a folder in which its objects lie.
        folder: Where it makes a folder of its own to spill to; several may be open over one.
        memory_bytes: How much it takes.
        threads: How many it works with.

    Raises:
        StoreUnavailable: The store did not answer, or an object is missing.
        InsufficientStorage: It ran out of memory or disk.
    """
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        **(QUICK_LOAD if isinstance(location, S3Location) else {}),
        "threads": threads,
        "memory_limit": f"{memory_bytes}B",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
    }
    try:
        # A folder of its own, as all engines name their files alike.
        with (
            scratch_folder(folder, "spilled-") as spilled,
            closing(duckdb.connect(config={**config, "temp_directory": str(spilled)})) as engine,
        ):
            if isinstance(location, S3Location):
                open_way(
                    engine,
                    endpoint=location.endpoint,
                    region=location.region,
                    keys=KeySource(location).current(),
                    read_timeout_s=location.read_timeout_s,
                    ca_file=location.ca_file,
                )
            engine.execute("LOAD json")
            engine.execute("SET TimeZone = 'UTC'")
            yield engine
    except (duckdb.OutOfMemoryException, duckdb.IOException, OSError) as error:
        if (told := _told(str(error), folder)) is None:
            raise
        raise told from None


def _told(message: str, folder: Path) -> LakehouseError | None:
    """An error of the engine as one of ours; None: it is another's.

    What fails while an answer is read comes through Arrow as an `OSError`, whose first words alone say what it is.
    """
    if message.startswith("Out of Memory Error"):
        return InsufficientStorage("the evidence does not fit the memory and disk of this step; take fewer days")
    kind = next((kind for kind in ("HTTP Error", "IO Error") if message.startswith(kind)), None)
    if kind is None:
        return None
    if no_room_in(message):
        return InsufficientStorage(f"the disk of {folder} is full; make room, then try again")
    return StoreUnavailable(f"the evidence could not be read ({kind})", retry_after_s=5)


def make_list(engine: duckdb.DuckDBPyConnection, table: str, column: str, texts: Sequence[str]) -> None:
    """Make a table of one column of texts; through Arrow, as a parameter takes 80 µs for each of thousands of texts."""
    import pyarrow as pa

    engine.register("given", pa.table({column: pa.array(texts, pa.string())}))
    engine.execute(f"CREATE TABLE {table} AS FROM given")
    engine.unregister("given")


def add_relations(
    engine: duckdb.DuckDBPyConnection, bucket: str, index: TableManifest, scored: TableManifest | None = None
) -> None:
    """Make the relations in an engine.

    Args:
        engine: Of `open_lake`.
        bucket: Where the files lie.
        index: The manifest of the index.
        scored: That of the scores; None: there is no relation `scored`.
    """
    current = index.partitions.get(CURRENT)
    engine.execute(f"CREATE VIEW evidence AS SELECT * FROM {evidence_source(current, bucket)}")
    engine.execute(f"CREATE VIEW evidence_index AS SELECT * FROM {index_source(current, bucket)}")
    if scored is not None:
        engine.execute(f"CREATE VIEW scored AS SELECT * FROM {scored_source(scored, bucket)}")


def evidence_source(current: Partition | None, bucket: str) -> str:
    """What `evidence` selects from: the files that the index names without the rows that it leaves out."""
    keys = _keys(current, EVIDENCE)
    if current is None or not keys:
        return empty("evidence")
    files = _parquet(keys, bucket)
    excluded = current.file(EXCLUDED)
    if excluded is None or not excluded.rows:
        return files
    out = _parquet([excluded.key], bucket)
    return (
        f"(SELECT e.* FROM {files} e ANTI JOIN {out} x"
        " ON e.provenance.source_key = x.source_key AND e.provenance.line = x.line)"
    )


def index_source(current: Partition | None, bucket: str) -> str:
    """What `evidence_index` selects from."""
    keys = _keys(current, INDEX)
    return _parquet(keys, bucket) if keys else empty("evidence_index")


def scored_source(scored: TableManifest, bucket: str) -> str:
    """What `scored` selects from."""
    keys = [file.key for partition in scored.partitions.values() for file in partition.files if file.role == SCORED]
    return _parquet(keys, bucket) if keys else empty("scored")


def builds_source(builds: TableManifest) -> str:
    """What `builds` selects from: a row for each build that was kept, those whose files had to go marked so."""
    rows = []
    for name, partition in sorted(builds.partitions.items()):
        kind, _, build_id = name.partition("/")
        counts = partition.counts
        rows.append(
            f"({quote_text(build_id)}, {quote_text(kind)}, {counts['samples']}::BIGINT,"
            f" make_timestamp({counts['created_us']}::BIGINT), {_superseded(partition)})"
        )
    columns = ", ".join(RESERVED_VIEWS["builds"])
    return f"(VALUES {', '.join(rows)}) AS b({columns})" if rows else empty("builds")


def _superseded(partition: Partition) -> str:
    """When a build's files went, and which build took its place, if one could."""
    by = partition.file(SUPERSEDED_BY)
    if by is None:
        return "NULL::TIMESTAMP, NULL::VARCHAR"
    return f"make_timestamp({partition.counts['superseded_us']}::BIGINT), nullif({quote_text(by.key)}, '')"


def empty(view: str) -> str:
    """A relation without rows that has the columns of a reserved view."""
    nulls = ", ".join(f"CAST(NULL AS {type_}) AS {quote_name(name)}" for name, type_ in RESERVED_VIEWS[view].items())
    return f"(SELECT {nulls} WHERE false)"


def _keys(current: Partition | None, role: str) -> list[str]:
    return [] if current is None else [file.key for file in current.files if file.role == role and file.rows]


def _parquet(keys: Sequence[str], bucket: str) -> str:
    files = ", ".join(quote_text(f"s3://{bucket}/{key}") for key in keys)
    return f"read_parquet([{files}], hive_partitioning = false)"
