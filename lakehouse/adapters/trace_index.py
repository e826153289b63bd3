"""Traces by their words and their vectors, in a hot index of their own.

New rows wait until the next read, or until a background thread adds them in a group: a hundred together cost a fifth of
what they cost one by one. No write waits for that, and every read sees all rows.

Belongs here: the `TraceIndex` over `HotIndex`. Not here: traces, how both scores become one (see lakehouse/pathway).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.hot_index import HotIndex
from lakehouse.pathway.search import Candidates
from lakehouse.pathway.trace_rows import TraceRow, index_batch
from lakehouse.retrieval.filters import Filter

_MOST_WAITING = 256
_NONE = Candidates([], np.zeros(0, np.float32), np.zeros(0, np.float32))


class HotTraceIndex:
    """An index that is made when its first trace comes, so that the embedder need not be loaded before.

    Args:
        dimension: Gives the length of the vectors.
    """

    def __init__(self, dimension: Callable[[], int]) -> None:
        self._dimension = dimension
        self._lock = threading.Lock()
        self._taking_in = threading.Lock()
        self._made: HotIndex | None = None
        self._waiting: dict[str, TraceRow] = {}
        self._moving: dict[str, TraceRow] = {}

    def __len__(self) -> int:
        return self.waiting + (0 if self._made is None else len(self._made))

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return self._dimension()

    @property
    def waiting(self) -> int:
        """Rows that the next read takes in."""
        return len(self._waiting) + len(self._moving)

    def put(self, rows: Sequence[TraceRow]) -> None:
        """Insert or replace traces; every read that begins afterwards finds them."""
        with self._lock:
            self._waiting.update((row.uid, row) for row in rows)
            is_due = len(self._waiting) >= _MOST_WAITING
        if is_due and not self._taking_in.locked():
            threading.Thread(target=self._take_in, name="pathway-index", daemon=True).start()

    def vector_of(self, uid: str) -> NDArray[np.float32] | None:
        """The vector of a trace; None when there is none of this uid."""
        with self._lock:
            row = self._waiting.get(uid) or self._moving.get(uid)
        if row is not None:
            return row.vector
        index = self._made
        at = None if index is None else index.row_of(uid)
        if index is None or at is None:
            return None
        vector: NDArray[np.float32] = index.vectors_of(np.array([at], np.int64))[0]
        return vector

    def candidates(self, text: str, vector: NDArray[np.float32], k: int, wanted: Filter) -> Candidates:
        """The `k` nearest and the `k` best by words of the traces that pass, each with both its scores."""
        index = self._current()
        if index is None:
            return _NONE
        selection = index.select(filter=wanted)
        rows = {hit.row: hit.id for hit in index.search_vector(vector, k, selection)}
        rows |= {hit.row: hit.id for hit in index.search_text(text, k, selection)}
        if not rows:
            return _NONE
        numbers = np.fromiter(rows, np.int64, len(rows))
        similarity = 1 - index.distances(vector, numbers)
        return Candidates(list(rows.values()), similarity, index.text_scores(text, numbers))

    def passing(self, wanted: Filter) -> list[str]:
        """The uids of all traces that pass."""
        index = self._current()
        if index is None:
            return []
        selection = index.select(filter=wanted)
        return index.ids_of(selection.rows() + selection.first) if len(selection) else []

    def settle(self) -> None:
        """Add waiting rows and do the upkeep that is due; return when it is done."""
        if (index := self._current()) is not None:
            index.settle()

    def stats(self) -> dict[str, Any]:
        """Counts and memory of the index."""
        return {} if self._made is None else self._made.stats()

    def _current(self) -> HotIndex | None:
        if self._waiting or self._moving:
            self._take_in()
        return self._made

    def _take_in(self) -> None:
        with self._taking_in:
            with self._lock:
                # Together with the rows that an earlier, failed attempt has left.
                self._moving, self._waiting = {**self._moving, **self._waiting}, {}
            if not self._moving:
                return
            if self._made is None:
                self._made = HotIndex(dimension=self._dimension(), distance="cosine")
            self._made.upsert(index_batch(list(self._moving.values())))
            with self._lock:
                self._moving = {}
