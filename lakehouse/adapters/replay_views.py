"""The view `replay_runs`: the runs of batches that have ended from their Parquet files, those under way as they are.

Belongs here: which objects stand behind the view. Not here: the columns (see lakehouse/tables/replay_runs.py), other
views (see stored_views.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import anyio.to_thread

from lakehouse.adapters.replay_store import FAILED, ROWS, RUNS, ReplayStore
from lakehouse.query.quoting import quote_name, quote_text
from lakehouse.query.views import ViewSpec, masked_view
from lakehouse.replay.batch import key_of
from lakehouse.tables.reserved import RESERVED_VIEWS

if TYPE_CHECKING:
    from lakehouse.storage.objects import ObjectStore

NAME = "replay_runs"
# What is a document in a row's JSON, and text in the view.
_DOCUMENTS = {"as_of": "as_of::VARCHAR", "expected": "nullif(expected::VARCHAR, 'null')"}
_ERROR = "CASE WHEN (error ->> '$.status') IS NOT NULL THEN concat(error ->> '$.status', ' ', error ->> '$.detail') END"


class ReplayViews:
    """The view of one bucket.

    Args:
        objects: The bucket.
        bucket: Its name, as the SQL workers reach it.
    """

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        self._store = ReplayStore(objects)
        self._bucket = bucket
        self._ended: set[str] = set()

    async def of(self, name: str) -> ViewSpec | None:
        """The view of a name; None: it is another one's, or there is no replay.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        return await anyio.to_thread.run_sync(self._view) if name == NAME else None

    def _view(self) -> ViewSpec | None:
        ended, under_way = [], []
        for batch_id in self._store.batches():
            if self._has_ended(batch_id):
                ended.append(f"s3://{self._bucket}/{key_of(batch_id, RUNS)}")
            else:
                folders = (key_of(batch_id, f"{folder}/") for folder in (ROWS, FAILED))
                there = [folder for folder in folders if self._store.objects.list(folder, limit=1).objects]
                under_way += [f"s3://{self._bucket}/{folder}*.json" for folder in there]
        if not ended and not under_way:
            return None
        parts = []
        if ended:
            parts.append(_files(ended))
        parts += [_rows(pattern) for pattern in under_way]
        identity = f"replays {' '.join(ended)} {' '.join(under_way)}"
        return masked_view(NAME, f"({' UNION ALL '.join(parts)})", identity=identity)

    def _has_ended(self, batch_id: str) -> bool:
        if batch_id not in self._ended and self._store.objects.head(key_of(batch_id, RUNS)) is not None:
            self._ended.add(batch_id)
        return batch_id in self._ended


def _columns() -> str:
    return ", ".join(quote_name(name) for name in RESERVED_VIEWS[NAME])


def _files(uris: Sequence[str]) -> str:
    """Runs of batches that have ended; what a file of an earlier version has no column for is null."""
    files = ", ".join(map(quote_text, uris))
    typed = ", ".join(f"NULL::{type_} AS {quote_name(name)}" for name, type_ in RESERVED_VIEWS[NAME].items())
    read = f"SELECT * FROM read_parquet([{files}], hive_partitioning = false, union_by_name = true)"
    return f"SELECT {_columns()} FROM (SELECT {typed} WHERE false UNION ALL BY NAME {read})"


def _rows(pattern: str) -> str:
    types = RESERVED_VIEWS[NAME] | {"as_of": "JSON", "expected": "JSON", "error": "JSON"}
    read_as = ", ".join(f"{quote_text(name)}: {quote_text(type_)}" for name, type_ in types.items())
    said = {**_DOCUMENTS, "error": _ERROR}
    columns = ", ".join(f"{said[name]} AS {name}" if name in said else quote_name(name) for name in types)
    source = f"read_json([{quote_text(pattern)}], columns = {{{read_as}}}, format = 'newline_delimited')"
    return f"SELECT {columns} FROM {source}"
