"""Views of evidence and scores for users' SQL: what the manifests name when a query asks.

Belongs here: which manifest stands behind which name. Not here: the relations (see evidence_lake.py), views of other
tables (see stored_views.py, memory_views.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio.to_thread

from lakehouse.adapters.evidence_lake import (
    BUILDS_TABLE,
    CURRENT,
    INDEX_TABLE,
    SCORED_TABLE,
    builds_source,
    evidence_source,
    index_source,
)
from lakehouse.adapters.evidence_lake import scored_source as scores
from lakehouse.catalog.partitioned import PartitionedTable, TableManifest
from lakehouse.query.quoting import quote_name
from lakehouse.query.views import ViewSpec
from lakehouse.tables.reserved import RESERVED_VIEWS

if TYPE_CHECKING:
    from lakehouse.storage.objects import ObjectStore

_SOURCES: dict[str, tuple[str, Callable[[TableManifest, str], str]]] = {
    "evidence": (INDEX_TABLE, lambda manifest, bucket: evidence_source(manifest.partitions.get(CURRENT), bucket)),
    "evidence_index": (INDEX_TABLE, lambda manifest, bucket: index_source(manifest.partitions.get(CURRENT), bucket)),
    "scored": (SCORED_TABLE, scores),
    "builds": (BUILDS_TABLE, lambda manifest, _: builds_source(manifest)),
}


class EvidenceViews:
    """The views of one bucket; a manifest is read again when its ETag is another one.

    Args:
        objects: The bucket.
        bucket: Its name, as the SQL workers reach it.
    """

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        self._objects = objects
        self._bucket = bucket
        self._made: dict[str, tuple[str, ViewSpec]] = {}

    async def of(self, name: str) -> ViewSpec | None:
        """The view of a name; None: nothing is stored behind it.

        Raises:
            StoreUnavailable: The store does not answer.
            BrokenManifest: The manifest is damaged.
        """
        if name not in _SOURCES:
            return None
        return await anyio.to_thread.run_sync(self._view, name)

    def _view(self, name: str) -> ViewSpec | None:
        table_name, source = _SOURCES[name]
        table = PartitionedTable(self._objects, table_name)
        there = self._objects.head(table.key)
        if there is None:
            return None
        made = self._made.get(name)
        if made is not None and made[0] == there.etag:
            return made[1]
        manifest = table.read()
        columns = tuple(quote_name(column) for column in RESERVED_VIEWS[name])
        view = ViewSpec(
            name,
            manifest.commit_id,
            columns,
            columns,
            source(manifest, self._bucket),
            tuple(RESERVED_VIEWS[name].items()),
        )
        self._made[name] = (there.etag, view)
        return view
