"""The view `observer_events` for users' SQL: all raw lines in the bucket, and what this process has in memory.

Belongs here: putting the two together. Not here: the text of the view (see lakehouse/query/views.py), when the file of
memory is written (see memory_views.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import anyio.to_thread

from lakehouse.events.envelope import RAW_PREFIX
from lakehouse.observer.event import STREAM
from lakehouse.query.views import ViewSpec, events_view

if TYPE_CHECKING:
    from lakehouse.storage.objects import ObjectStore

_PREFIX = f"{RAW_PREFIX}{STREAM}/"


class Latest(Protocol):
    """The views of memory tables."""

    async def of(self, name: str) -> ViewSpec | None: ...


class ObserverViews:
    """The view of one bucket.

    Args:
        objects: The bucket.
        bucket: Its name, as the SQL workers reach it.
        latest: Has the events in memory under the view's name.
    """

    def __init__(self, objects: ObjectStore, bucket: str, latest: Latest) -> None:
        self._objects = objects
        self._bucket = bucket
        self._latest = latest

    async def of(self, name: str) -> ViewSpec | None:
        """The view of a name; None where it is another one.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        if name != STREAM:
            return None
        latest = await self._latest.of(name)
        found = await anyio.to_thread.run_sync(lambda: self._objects.list(_PREFIX, limit=1))
        if latest is None or not found.objects:
            return latest
        return events_view(name, latest, f"s3://{self._bucket}/{_PREFIX}**")
