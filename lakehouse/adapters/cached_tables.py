"""A cache of the live manifests of tables, which are read again only when their ETag has changed.

Belongs here: the cache. Not here: manifests (see lakehouse/catalog/partitioned.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.catalog.partitioned import PartitionedTable, TableManifest

if TYPE_CHECKING:
    from lakehouse.storage.objects import ObjectStore


class CachedTables:
    """The manifests of one bucket; each costs a HEAD when it has not changed.

    Args:
        store: The bucket.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._read: dict[str, tuple[str, TableManifest]] = {}

    def get(self, name: str) -> TableManifest:
        """The manifest of a table; of one that nobody has written, an empty one.

        Raises:
            BrokenManifest: It is damaged.
            StoreUnavailable: The store does not answer.
        """
        table = PartitionedTable(self._store, name)
        there = self._store.head(table.key)
        if there is None:
            return TableManifest(name)
        known = self._read.get(name)
        if known is not None and known[0] == there.etag:
            return known[1]
        manifest = table.read()
        self._read[name] = there.etag, manifest
        return manifest
