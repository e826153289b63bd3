"""Playbook entries by the embedding of their query, in a hot index of their own.

Belongs here: the `EntryIndex` over `HotIndex`. Not here: entries (see lakehouse/retrieval/playbook.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.gathered_searches import GatheredSearches
from lakehouse.adapters.hot_index import HotIndex, hits_of
from lakehouse.retrieval.corpus_view import Hit
from lakehouse.retrieval.selection import Selection

if TYPE_CHECKING:
    import pyarrow as pa


class HotEntryIndex:
    """An index that is made with its first entry: until then no model needs to be loaded for its dimension.

    Args:
        dimension: Gives the length of the vectors.
    """

    def __init__(self, dimension: Callable[[], int]) -> None:
        self._dimension = dimension
        self._making = threading.Lock()
        self._made: HotIndex | None = None
        self._gathered = GatheredSearches()

    def upsert(self, batch: pa.RecordBatch) -> None:
        """Insert or replace entries."""
        self._index().upsert(batch)

    def delete(self, ids: Sequence[str]) -> int:
        """Take entries away; how many were there."""
        return 0 if self._made is None else self._made.delete(ids)

    def nearest(self, vector: NDArray[np.float32], k: int, max_distance: float) -> Sequence[Hit]:
        """The nearest entries within a cosine distance, nearest first."""
        index = self._made
        if index is None:
            return []
        selection = index.select()
        return _within(selection, *index.nearest_rows(vector, k, selection), max_distance)

    async def nearest_together(self, vector: NDArray[np.float32], k: int, max_distance: float) -> Sequence[Hit]:
        """The same, together with the others of this turn of the event loop."""
        index = self._made
        if index is None:
            return []
        selection = index.select()
        return _within(selection, *await self._gathered.nearest_rows(index, vector, k, selection), max_distance)

    def vector_of(self, id: str) -> NDArray[np.float32]:  # noqa: A002 - the key of the rows
        """The vector of an entry that is there."""
        index = self._index()
        row = index.row_of(id)
        if row is None:
            raise KeyError(id)
        vector: NDArray[np.float32] = index.vectors_of(np.array([row], np.int64))[0]
        return vector

    def vectors_of(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors of those of some entries that are there."""
        index = self._made
        if index is None or not ids:
            return {}
        rows = index.rows_of(ids)
        there = rows >= 0
        if not there.any():
            return {}
        vectors = index.vectors_of(rows[there])
        return dict(zip([one for one, is_there in zip(ids, there, strict=True) if is_there], vectors, strict=True))

    def _index(self) -> HotIndex:
        with self._making:
            if self._made is None:
                self._made = HotIndex(dimension=self._dimension(), distance="cosine", has_text=False)
            return self._made


def _within(
    selection: Selection, rows: NDArray[np.int64], distances: NDArray[np.float32], max_distance: float
) -> Sequence[Hit]:
    """Those of some rows, nearest first, that are near enough; ids are made for no others."""
    count = int(np.count_nonzero(distances.astype(np.float64) <= max_distance))
    return hits_of(selection, rows[:count], distances[:count])
