"""Reserved views over JSON that lies in the bucket: what was refused, what runs have left behind.

A query that names one reads its objects as they are then, so it is as fresh as the bucket and as slow as their number.

Belongs here: which prefix stands behind which name, and whether there is anything. Not here: the text of views (see
lakehouse/query/views.py), views of memory tables (see memory_views.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import anyio.to_thread

from lakehouse.query.views import ViewSpec, stored_view
from lakehouse.tables.reserved import STORED_VIEWS

if TYPE_CHECKING:
    from lakehouse.storage.objects import ObjectStore


class StoredViews:
    """Views of objects.

    Args:
        objects: The bucket.
        bucket: Its name, as the SQL workers reach it.
    """

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        self._objects = objects
        self._bucket = bucket

    async def of(self, name: str) -> ViewSpec | None:
        """The view of a name; None: nothing is stored behind it.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        prefix = STORED_VIEWS.get(name)
        if prefix is None:
            return None
        found = await anyio.to_thread.run_sync(lambda: self._objects.list(prefix, limit=1))
        return stored_view(name, f"s3://{self._bucket}/{prefix}**") if found.objects else None


class _Views(Protocol):
    async def of(self, name: str) -> ViewSpec | None: ...


class AllViews:
    """Several kinds of views as one; the first that knows a name answers."""

    def __init__(self, kinds: Sequence[_Views]) -> None:
        self._kinds = kinds

    async def of(self, name: str) -> ViewSpec | None:
        """The view of a name; None where no kind has one."""
        for kind in self._kinds:
            view = await kind.of(name)
            if view is not None:
                return view
        return None
