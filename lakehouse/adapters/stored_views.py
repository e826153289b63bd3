"""Reserved views over JSON that lies in the bucket: what was refused, what runs have left behind, what drifted.

A query that names one reads its objects as they are then, so it is as fresh as the bucket and as slow as their number.

Belongs here: which prefix stands behind which name, and whether there is anything. Not here: the text of views (see
lakehouse/query/views.py), views of memory tables (see memory_views.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import anyio.to_thread

from lakehouse.adapters.receipt_archive import COMPACTED
from lakehouse.query.views import ViewSpec, receipts_view, stored_view
from lakehouse.storage.objects import list_all
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
        if name == "receipts":
            return await anyio.to_thread.run_sync(self._receipts)
        if name == "drift_reports":
            return await anyio.to_thread.run_sync(self._drift_reports)
        found = await anyio.to_thread.run_sync(lambda: self._objects.list(prefix, limit=1))
        return stored_view(name, f"s3://{self._bucket}/{prefix}**") if found.objects else None

    def _drift_reports(self) -> ViewSpec | None:
        """Reports alone: baselines and acknowledgements lie beside them."""
        prefix = STORED_VIEWS["drift_reports"]
        has_one = any(info.key.endswith("/report.json") for info in list_all(self._objects, prefix))
        return stored_view("drift_reports", f"s3://{self._bucket}/{prefix}*/*/report.json") if has_one else None

    def _receipts(self) -> ViewSpec | None:
        """Receipts as they were written, and those that have been moved together."""
        prefix = STORED_VIEWS["receipts"]
        compacted = [info.key for info in list_all(self._objects, COMPACTED)]
        has_own = any(not info.key.startswith(COMPACTED) for info in list_all(self._objects, prefix))
        files = [f"s3://{self._bucket}/{key}" for key in compacted]
        return receipts_view(f"s3://{self._bucket}/{prefix}**/*.json" if has_own else None, files)


class _Views(Protocol):
    async def of(self, name: str) -> ViewSpec | None: ...


class _PastViews(Protocol):
    async def as_of(self, name: str, moment: datetime) -> ViewSpec | None: ...


class AllViews:
    """Several kinds of views as one; the first that knows a name answers.

    Args:
        kinds: As they are now.
        past: Those whose past is known.
    """

    def __init__(self, kinds: Sequence[_Views], *, past: _PastViews) -> None:
        self._kinds = kinds
        self._past = past

    async def as_of(self, name: str, moment: datetime) -> ViewSpec | None:
        """The view of a name as it was at a time; None where its past is not known."""
        return await self._past.as_of(name, moment)

    async def of(self, name: str) -> ViewSpec | None:
        """The view of a name; None where no kind has one."""
        for kind in self._kinds:
            view = await kind.of(name)
            if view is not None:
                return view
        return None
