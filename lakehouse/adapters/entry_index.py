"""An index of playbook entries by the embedding of their query; searches of one turn of the event loop are joined.

Belongs here: the `EntryIndex` in memory. Not here: its rows (see entry_rows.py), entries (see
lakehouse/retrieval/playbook.py).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.entry_rows import EntryRows, Rows, Vectors
from lakehouse.adapters.entry_search import search_within
from lakehouse.adapters.hot_generations import Generations
from lakehouse.adapters.hot_rows import RowsView
from lakehouse.adapters.hot_search import search_rows
from lakehouse.adapters.hot_search_together import search_rows_of_each
from lakehouse.adapters.hot_upkeep import Upkeep
from lakehouse.adapters.short_vectors import lengthened, products_of, shortened
from lakehouse.counted import counted
from lakehouse.errors import BadInput
from lakehouse.retrieval.playbook_index import NO_ENTRIES, Nearby
from lakehouse.retrieval.row_batch import Distance, read_query
from lakehouse.retrieval.selection import Selection

_MOST = 64
_Look = tuple[NDArray[np.float32], float, asyncio.Future[Nearby]]


class HotEntryIndex:
    """An index that is made when its first entry comes, so that the embedder need not be loaded before.

    Args:
        dimension: Gives the length of the vectors.
    """

    distance: Distance = "cosine"

    def __init__(self, dimension: Callable[[], int]) -> None:
        self._dimension = dimension
        self._writing = threading.Lock()
        self._rows: EntryRows | None = None
        self._recent: tuple[RowsView, Selection] | None = None
        self._upkeep = Upkeep(self)
        self._generations: Generations[EntryRows] = Generations()
        self._looks: dict[int, list[_Look]] = {}

    def put(self, ids: Sequence[str], vectors: Vectors) -> None:
        """Insert or replace entries, no id twice; vectors are of length 1.

        Raises:
            BadInput: Another dimension, or a value that is no finite number; nothing was changed.
        """
        dimension = self.generation.dimension
        if vectors.shape != (len(ids), dimension) or not np.isfinite(vectors).all():
            raise BadInput(
                f"{counted(len(ids), 'entry', 'needs')} finite vectors of {dimension} values, not {vectors.shape}"
            )
        with self._writing:
            self.generation.append(ids, shortened(vectors))
        self._upkeep.kick()

    def delete(self, ids: Sequence[str]) -> int:
        """Take entries away; how many were there."""
        if self._rows is None:
            return 0
        with self._writing:
            count = self._rows.delete(ids)
        self._upkeep.kick()
        return count

    def nearest(self, vector: Vectors, k: int, max_distance: float) -> Nearby:
        """The nearest entries within a cosine distance, nearest first."""
        if self._rows is None:
            return NO_ENTRIES
        selection, query = self._selection(), self._query(vector)
        within = search_within(selection, query[None, :], k, max_distance)
        if within is not None:
            return _nearby(selection, *within[0], max_distance)
        found = search_rows(selection, query, k, self.distance, max_distance=max_distance)
        return _nearby(selection, *found, max_distance)

    def look(self, vector: Vectors, k: int, max_distance: float) -> asyncio.Future[Nearby]:
        """The same, together with the others of this turn of the running event loop."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Nearby] = loop.create_future()
        if self._rows is None:
            done.set_result(NO_ENTRIES)
            return done
        group = self._looks.get(k)
        if group is None:
            group = self._looks[k] = []
            loop.call_soon(self._answer, k)
        group.append((self._query(vector), max_distance, done))
        return done

    def row_of(self, id: str) -> int | None:  # noqa: A002 - the key of the rows
        """The row of an entry that is there."""
        return None if self._rows is None else self._rows.row_of(id)

    def vectors_at(self, rows: Rows) -> Vectors:
        """The vectors of some rows, (n, dimension).

        Raises:
            NotFound: One of them is gone.
        """
        current, places = self._find(rows)
        return lengthened(current.vectors.view().take(places, axis=0))

    def products_at(self, rows: Rows, vector: Vectors) -> Vectors:
        """The cosines of a vector of length 1 and the vectors of some rows; raises as `vectors_at`."""
        current, places = self._find(rows)
        return products_of(current.vectors.view(), vector, places)

    @property
    def generation(self) -> EntryRows:
        """The rows that searches begin with now."""
        if self._rows is None:
            self._rows = EntryRows(self._dimension())
        return self._rows

    def swap(self, copy: EntryRows, old: EntryRows, copied: RowsView) -> None:
        """Search a compacted copy of `copied`, a view of `old`, from now on, with what was written since."""
        with self._writing:
            self._generations.leave(old, old.catch_up(copy, copied))
            self._rows = copy
            self._recent = None

    def _find(self, rows: Rows) -> tuple[EntryRows, Rows]:
        current = self.generation
        if current.first:  # 0 in the first generation, where public numbers are the places themselves
            return self._generations.find(current, rows)
        return current, rows

    def _query(self, vector: Vectors) -> Vectors:
        return read_query(vector, dimension=self.generation.dimension, distance=self.distance)

    def _selection(self) -> Selection:
        """A selection of all living entries; the same object until an entry is written."""
        rows = self.generation
        view, recent = rows.view, self._recent
        if recent is None or recent[0] is not view:
            alive = None if view.live == view.end else view.alive
            recent = self._recent = (view, Selection(rows, rows.first, view.end, mask=alive))
        return recent[1]

    def _answer(self, k: int) -> None:
        group = self._looks.pop(k)
        for start in range(0, len(group), _MOST):
            part = [look for look in group[start : start + _MOST] if not look[2].done()]
            if not part:
                continue
            try:
                selection = self._selection()
                queries, farthest = np.stack([query for query, _, _ in part]), max(look[1] for look in part)
                found = search_within(selection, queries, k, farthest)
                if found is None:
                    found = search_rows_of_each(selection, queries, k, self.distance, max_distance=farthest)
                nearby = [_nearby(selection, *near, look[1]) for near, look in zip(found, part, strict=True)]
            except Exception as error:  # raised to each caller
                for _, _, done in part:
                    done.set_exception(error)
            else:
                for (_, _, done), near in zip(part, nearby, strict=True):
                    done.set_result(near)


def _nearby(selection: Selection, rows: Rows, distances: Vectors, max_distance: float) -> Nearby:
    """Those of some rows, counted from 0 and nearest first, that are near enough."""
    near = [distance for distance in distances.tolist() if distance <= max_distance]
    ids: list[str] = selection.source.ids
    return Nearby(near, [ids[row] for row in rows[: len(near)].tolist()])
