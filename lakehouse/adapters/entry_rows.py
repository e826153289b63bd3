"""Entries of playbooks in memory: ids and vectors, nothing else; searched and kept up as the rows of a hot index are.

A write appends, then publishes, as in hot_rows.py; several hundred entries are written in a millisecond, as nothing
goes through Arrow. Vectors are kept as 16-bit numbers (see short_vectors.py). Rows that have no codes yet are compared
in every search, so their vectors are kept as 32-bit numbers, too. A generation that is not large also keeps the heads
of all its rows, by which most of them are ruled out (see product_bounds.py).

Belongs here: one generation of rows. Not here: searching them (see entry_index.py), codes and compaction (see
hot_upkeep.py).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.faiss_codes import Codes
from lakehouse.adapters.hot_rows import RowsView
from lakehouse.adapters.product_bounds import AXES, heads_of, leading_axes
from lakehouse.adapters.short_vectors import ShortVectors, lengthened
from lakehouse.errors import Unavailable
from lakehouse.retrieval.growing import GrowingArray

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]
_COPY_ROWS = 16_384
# The 32-bit copies are dropped when codes cover more than so many of them, and when there would be more than so many.
_MOST_COVERED = 512
_MOST_LONG = 32_768
# The numbers of rows between which heads are kept: fewer are compared whole as quickly, more are searched by codes. The
# axes are learned anew when the rows have grown eightfold.
_LEAST_HEADED = 512
_MOST_HEADED = 20_000
_GROWTH = 8


class EntryRows:
    """One generation. Any number of threads read; one at a time writes (the index sees to it).

    Args:
        dimension: Length of the vectors.
        first: Public number of its first row.
    """

    def __init__(self, dimension: int, *, first: int = 0) -> None:
        self.first = first
        self.dimension = dimension
        self.vectors = GrowingArray(np.int16, dimension)
        # The first row that is kept as 32-bit numbers, and those rows from there on.
        self._long = (0, GrowingArray(np.float32, dimension))
        # The axes and, along them, the heads of all rows.
        self.heads: tuple[Vectors, GrowingArray] | None = None
        self._learned_rows = 0
        self.ids: list[str] = []
        self.codes: Codes | None = None
        self.view = RowsView(0, 0, np.empty(0, np.bool_))
        self._alive = GrowingArray(np.bool_)
        self._row_of: dict[str, int] = {}
        self._publishing = threading.Lock()

    def append(self, ids: Sequence[str], vectors: ShortVectors) -> None:
        """Add rows, of ids that differ, and publish them at once; a row that had one of the ids is dead then.

        Raises:
            Unavailable: An earlier append broke off in the middle (no memory).
        """
        if not len(self.vectors) == len(self.ids) == self.view.end:
            raise Unavailable("an earlier write to the index of playbooks broke off; restart this process")
        start, end = self.view.end, self.view.end + len(ids)
        self.vectors.append(vectors)
        self._keep_long(vectors)
        self._keep_heads(vectors)
        self.ids += ids
        with self._publishing:
            replaced = [row for row in map(self._row_of.get, ids) if row is not None]
            self._row_of.update(zip(ids, range(start, end), strict=True))
            self._bury(replaced)
            # Rows after the end of every published view, so that no reader sees them yet.
            self._alive.append(np.ones(end - start, np.bool_))
            self._publish(end)

    def delete(self, ids: Sequence[str]) -> int:
        """Mark rows as dead; returns how many were alive."""
        with self._publishing:
            rows = [row for row in (self._row_of.pop(one, None) for one in ids) if row is not None]
            if rows:
                self._bury(rows)
                self._publish(self.view.end)
            return len(rows)

    def row_of(self, id: str) -> int | None:  # noqa: A002 - the key of the rows
        """The public number of the row of an id that lives."""
        row = self._row_of.get(id)
        return None if row is None else self.first + row

    def span(self, start: int, end: int) -> Vectors:
        """The vectors of rows that stand side by side."""
        first, long = self._long
        if start >= first:
            return long.view(start - first, end - first)
        return lengthened(self.vectors.view(start, end))

    def has_rows(self, numbers: Rows) -> bool:
        """Whether all of these public numbers are of this generation."""
        return bool(self.first <= numbers.min() and numbers.max() < self.first + self.view.end)

    def copy_living(self, view: RowsView) -> EntryRows:
        """A new generation with the rows that live in a view, in their order; `catch_up` brings it up to date."""
        copy = EntryRows(self.dimension)
        rows = np.flatnonzero(view.alive)
        for start in range(0, len(rows), _COPY_ROWS):
            self._copy(rows[start : start + _COPY_ROWS], copy)
        return copy

    def catch_up(self, copy: EntryRows, copied: RowsView) -> Rows:
        """Bring a copy of `copied` to what is here now; see `HotRows.catch_up`."""
        now = self.view
        gone = np.flatnonzero(copied.alive & ~now.alive[: copied.end])
        copy.delete([one for one in map(self.ids.__getitem__, gone.tolist()) if one not in self._row_of])
        fresh = copied.end + np.flatnonzero(now.alive[copied.end :])
        if len(fresh):
            self._copy(fresh, copy)
        copy.first = self.first + now.end
        moved = np.full(now.end, -1)
        kept = np.concatenate([np.flatnonzero(copied.alive), fresh])
        moved[kept] = copy.first + np.arange(len(kept))
        return moved

    def _keep_long(self, new: ShortVectors) -> None:
        """Keep the last rows as 32-bit numbers, too, and drop those that codes cover now."""
        first, long = self._long
        covered = 0 if self.codes is None else self.codes.end
        if covered - first > _MOST_COVERED:
            first, long, new = covered, GrowingArray(np.float32, self.dimension), self.vectors.view(covered)
        elif len(long) + len(new) > _MOST_LONG:
            first, long, new = len(self.vectors), GrowingArray(np.float32, self.dimension), new[:0]
        long.append(lengthened(new))
        self._long = first, long

    def _keep_heads(self, new: ShortVectors) -> None:
        """Add the heads of the last rows, or of all rows when the axes are learned anew."""
        count = len(self.vectors)
        if not _LEAST_HEADED <= count <= _MOST_HEADED or self.dimension < 2 * AXES:
            self.heads = None
            return
        if self.heads is None or count >= _GROWTH * self._learned_rows:
            axes, heads = leading_axes(self.vectors.view()), GrowingArray(np.float32, AXES + 1)
            self._learned_rows, new = count, self.vectors.view()
        else:
            axes, heads = self.heads
        for start in range(0, len(new), _COPY_ROWS):
            heads.append(heads_of(lengthened(new[start : start + _COPY_ROWS]), axes))
        self.heads = axes, heads

    def _copy(self, rows: Rows, copy: EntryRows) -> None:
        copy.append([self.ids[row] for row in rows.tolist()], self.vectors.view()[rows])

    def _publish(self, end: int) -> None:
        self.view = RowsView(end, len(self._row_of), self._alive.view(0, end))

    def _bury(self, rows: Sequence[int]) -> None:
        if rows:
            # A copy, as readers of earlier views still use the old array.
            alive = GrowingArray(np.bool_)
            alive.reserve(len(self._alive) + len(self._alive) // 8)
            alive.append(self._alive.view())
            alive.view()[list(rows)] = False
            self._alive = alive
