"""Playbook entries by the embedding of their query, in a hot index of their own.

Belongs here: the `EntryIndex` over `HotIndex`. Not here: entries (see lakehouse/retrieval/playbook.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.hot_index import HotIndex
from lakehouse.retrieval.corpus_view import Hit

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

    def upsert(self, batch: pa.RecordBatch) -> None:
        """Insert or replace entries."""
        self._index().upsert(batch)

    def delete(self, ids: Sequence[str]) -> int:
        """Take entries away; how many were there."""
        return 0 if self._made is None else self._made.delete(ids)

    def nearest(self, vector: NDArray[np.float32], k: int) -> Sequence[Hit]:
        """The nearest entries by cosine distance, nearest first."""
        index = self._made
        return [] if index is None else index.search_vector(vector, k, index.select())

    def vector_of(self, id: str) -> NDArray[np.float32]:  # noqa: A002 - the key of the rows
        """The vector of an entry that is there."""
        index = self._index()
        row = index.row_of(id)
        if row is None:
            raise KeyError(id)
        vector: NDArray[np.float32] = index.vectors_of(np.array([row], np.int64))[0]
        return vector

    def _index(self) -> HotIndex:
        with self._making:
            if self._made is None:
                self._made = HotIndex(dimension=self._dimension(), distance="cosine", has_text=False)
            return self._made
