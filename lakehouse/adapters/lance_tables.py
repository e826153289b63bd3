"""All Lance tables of the bucket, by name.

Belongs here: listing, opening, making and dropping tables. Not here: what one can do (see lance_table.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lakehouse.adapters.lance_engine import LanceEngine, keyed
from lakehouse.adapters.lance_files import LanceFiles, conform
from lakehouse.adapters.lance_table import LanceTable
from lakehouse.adapters.objects import S3Location
from lakehouse.clock import new_id
from lakehouse.errors import Conflict
from lakehouse.retrieval.live_pointer import LivePointer
from lakehouse.retrieval.live_table import (
    FILES_SUFFIX,
    TABLES,
    BrokenPointer,
    LiveTable,
    check_table_name,
    first_uri,
    is_table_name,
    live_key,
    next_uri,
)
from lakehouse.storage.objects import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa


class LanceTables:
    """The tables of one bucket; one of these per process, for any number of threads.

    Nothing is asked of the store, and Lance is not loaded, before the first use.

    Args:
        location: The bucket, and keys that may write.
        objects: The same bucket as objects; pointers move through it.
        index_cache_bytes: Memory for parts of Lance's own indexes, for all tables together.
    """

    def __init__(self, location: S3Location, objects: ObjectStore, *, index_cache_bytes: int = 256 << 20) -> None:
        self._objects = objects
        self._engine = LanceEngine(location, index_cache_bytes=index_cache_bytes)

    def names(self) -> list[str]:
        """Names of all tables, sorted.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        return list_tables(self._objects)

    def open(self, name: str) -> LanceTable | None:
        """A table; None when there is none of that name.

        Raises:
            BrokenPointer: Its `live.json` is damaged.
            StoreUnavailable: The store does not answer.
        """
        pointer = LivePointer(self._objects, name)
        live = pointer.read()
        return None if live is None else LanceTable(self._engine, pointer, live)

    def create(
        self,
        name: str,
        schema: pa.Schema,
        *,
        info: Mapping[str, Any],
        key: str = "id",
        rows: pa.Table | None = None,
        folded_through: Mapping[str, int] | None = None,
        fence: int = 0,
        is_mending: bool = False,
    ) -> LanceTable:
        """Make a table; nobody sees it before its first rows are in it.

        Args:
            name: `[a-z][a-z0-9_]{0,62}`.
            schema: Its columns.
            info: What it says of itself.
            key: The column that tells rows apart.
            rows: Those that it begins with; keys are taken to be different.
            folded_through: By writer of the memory log, the last number that is in them.
            fence: The writer's number.
            is_mending: It may take the place of one whose `live.json` is damaged.

        Raises:
            BadInput: The name or the key is refused.
            Conflict: There is a table of that name.
        """
        pointer = LivePointer(self._objects, check_table_name(name))
        try:
            is_there = pointer.read() is not None
        except BrokenPointer:
            if not is_mending:
                raise
            is_there = False
        if is_there:
            raise Conflict(f"the table {name!r} is there already", name=name)
        schema = keyed(schema, key)
        files = self._make_files(name, schema, key)
        done = files.committed() if rows is None else files.append(conform(rows, schema))
        live = LiveTable(
            uri=files.uri, version=done.version, key=key, info=dict(info), folded_through=dict(folded_through or {}),
            fence=fence, rows=done.rows, fragments=done.fragments,
        )  # fmt: skip
        return LanceTable(self._engine, pointer, pointer.create(live, is_mending=is_mending))

    def drop(self, name: str) -> None:
        """Take a table away at once; its files stay until garbage collection. No table of that name is no error."""
        LivePointer(self._objects, name).remove()

    def _make_files(self, name: str, schema: pa.Schema, key: str) -> LanceFiles:
        # The first files of a new table may have the key of files of a dropped table of that name.
        uri = first_uri(name)
        if self._objects.list(f"{uri}/", limit=1).objects:
            return LanceFiles.create(self._engine, next_uri(name, new_id()), schema, key)
        try:
            return LanceFiles.create(self._engine, uri, schema, key)
        except Conflict:
            return LanceFiles.create(self._engine, next_uri(name, new_id()), schema, key)


def list_tables(objects: ObjectStore) -> list[str]:
    """Names of the tables of a bucket, sorted, from its pointers alone."""
    folders = [name for name in objects.folders(TABLES) if not name.endswith(FILES_SUFFIX)]
    return [name for name in folders if is_table_name(name) and objects.head(live_key(name)) is not None]
