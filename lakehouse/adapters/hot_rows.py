"""The rows of a hot index: one generation of arrays that only grow, and which of their rows live.

A write appends, then publishes: one assignment replaces the view that readers begin with. A compaction makes a new
generation; row numbers go on from one generation to the next and are never used twice.

Belongs here: storing, publishing, deleting, copying what lives. Not here: searching (see hot_search.py), when to
compact (see hot_upkeep.py), checks of what comes in (see lakehouse/retrieval/row_batch.py).
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.faiss_codes import Codes
from lakehouse.errors import Unavailable
from lakehouse.retrieval.filters import Filter
from lakehouse.retrieval.growing import GrowingArray, GrowingStrings
from lakehouse.retrieval.id_table import IdTable
from lakehouse.retrieval.metadata_columns import MetadataColumns
from lakehouse.retrieval.row_batch import RowBatch
from lakehouse.retrieval.selection import FilterMasks, RecentSelections, Selection
from lakehouse.retrieval.source_table import SourceTable
from lakehouse.retrieval.text_index import TextIndex

if TYPE_CHECKING:
    import pyarrow as pa

_COPY_ROWS = 16_384
_SPARE_ROWS = 1_024
# Up to so many numbers a loop is quicker than numpy calls for all of them.
_FEW = 64


@dataclass(frozen=True, slots=True)
class RowsView:
    """What a reader sees: the first `end` rows, of which `live` live; `alive` has one bool a row."""

    end: int
    live: int
    alive: NDArray[np.bool_]


class HotRows:
    """One generation. Any number of threads read; one at a time writes (the index sees to it).

    Args:
        dimension: Length of the vectors.
        has_text: Keep an index of the texts.
        first: Public number of its first row.
    """

    def __init__(self, dimension: int, *, has_text: bool, first: int = 0) -> None:
        self.first = first
        self.dimension = dimension
        self.vectors = GrowingArray(np.float32, dimension)
        self.ids = GrowingStrings()
        self.texts = GrowingStrings()
        self.columns = MetadataColumns()
        self.text_index = TextIndex() if has_text else None
        self.codes: Codes | None = None
        self.view = RowsView(0, 0, np.empty(0, np.bool_))
        self._alive = GrowingArray(np.bool_)
        self._table = IdTable()
        # Held while ids change, and while ids are looked up together with a view.
        self._publishing = threading.Lock()
        self._masks = FilterMasks(self.columns)
        self._sources = SourceTable(self.ids)

    @classmethod
    def restored(
        cls,
        dimension: int,
        vectors: NDArray[np.float32],
        alive: NDArray[np.bool_],
        strings: pa.Table,
        text_index: TextIndex | None,
    ) -> HotRows:
        """A generation as it was kept: `strings` has the columns `id`, `text` and `metadata`, and may be mapped.

        Raises:
            ValueError: The parts are of different lengths.
        """
        rows = cls(dimension, has_text=False)
        rows.text_index = text_index
        if not len(vectors) == len(alive) == len(strings) or vectors.shape[1] != dimension:
            raise ValueError(f"{vectors.shape} vectors, {len(alive)} marks, {len(strings)} rows of {dimension}")
        if text_index is not None and len(text_index) != len(vectors):
            raise ValueError(f"{len(text_index)} texts for {len(vectors)} rows")
        rows.vectors.adopt(vectors)
        rows._alive.adopt(alive)
        rows.ids.append(strings["id"])
        rows.texts.adopt(_whole(strings["text"]))
        rows.columns.restore(_whole(strings["metadata"]))
        living = np.flatnonzero(alive)
        rows._table.put(rows.ids.texts_of(living), living)
        rows.view = RowsView(len(alive), len(rows._table), alive)
        return rows

    def span(self, start: int, end: int) -> NDArray[np.float32]:
        """The vectors of rows that stand side by side."""
        return self.vectors.view(start, end)

    def append(self, batch: RowBatch) -> None:
        """Add rows and publish them at once; a row that had one of the ids is dead from then on.

        Raises:
            Unavailable: An earlier append broke off in the middle (no memory); the index must be built anew.
        """
        if not len(self.columns) == len(self.vectors) == len(self.ids) == len(self.texts) == self.view.end:
            raise Unavailable("an earlier write to this index broke off; it takes no more until it is built anew")
        for metadata, documents in batch.documents():
            self.columns.append(metadata, documents)
        self.vectors.append(batch.vectors)
        self.ids.append(batch.ids)
        self.texts.append(batch.texts)
        if self.text_index is not None:
            self.text_index.append(batch.texts)
        start, end = self.view.end, self.view.end + len(batch.ids)
        with self._publishing:
            replaced = self._table.put(batch.ids, np.arange(start, end))
            self._bury(replaced)
            # Rows after the end of every published view, so that no reader sees them yet.
            self._alive.append(np.ones(end - start, np.bool_))
            live = self.view.live + end - start - len(replaced)
            self.view = RowsView(end, live, self._alive.view(0, end))

    def read_from(self, strings: pa.Table) -> None:
        """Use equal texts and metadata of a mapped file in place of those in memory; nobody may write meanwhile."""
        if len(strings) == self.view.end:
            self.texts.adopt(_whole(strings["text"]))
            self.columns.adopt(_whole(strings["metadata"]))

    def delete(self, ids: Collection[str]) -> int:
        """Mark rows as dead; returns how many were alive."""
        with self._publishing:
            rows = self._table.pop(ids)
            if len(rows):
                self._bury(rows)
                view = self.view
                self.view = RowsView(view.end, view.live - len(rows), self._alive.view(0, view.end))
            return len(rows)

    def row_of(self, id: str) -> int | None:  # noqa: A002 - the key of the rows
        """The row of an id that lives, counted from 0."""
        with self._publishing:
            return self._table.row_of(id)

    def rows_of(self, ids: Collection[str]) -> NDArray[np.int64]:
        """The rows of some ids, in their order, counted from 0; -1 for those that do not live."""
        with self._publishing:
            return self._table.rows_of(ids)

    def has_rows(self, numbers: NDArray[np.int64]) -> bool:
        """Whether all of these public numbers are of this generation."""
        if len(numbers) <= _FEW:
            some = numbers.tolist()
            return bool(self.first <= min(some) and max(some) < self.first + self.view.end)
        return bool(self.first <= numbers.min() and numbers.max() < self.first + self.view.end)

    def living_ids(self) -> list[str]:
        """The ids that live."""
        return self.ids.texts_of(np.flatnonzero(self.view.alive))

    def select(
        self,
        *,
        filter: Filter | None,  # noqa: A002 - the word of the contract
        only_ids: Collection[str] | None,
        only_sources: Collection[str] | None,
        exclude_ids: Collection[str],
        masked: frozenset[str],
        recent: RecentSelections,
    ) -> Selection:
        """The living rows that pass; see `HotIndex.select`."""
        if only_ids is None and only_sources is None and not exclude_ids:
            return self._selection(self.view, filter, masked, recent)
        with self._publishing:
            view = self.view
            only = None if only_ids is None else self._rows_of(only_ids)
            excluded = self._rows_of(exclude_ids)
        selection = self._selection(view, filter, masked, recent)
        if only_sources is not None:
            selection = selection.among(self._sources.mask(only_sources, view.end))
        if only is not None:
            selection = selection.only(np.setdiff1d(only, excluded) if len(excluded) else only)
        elif len(excluded):
            selection = selection.without(excluded)
        return selection

    def copy_living(self, view: RowsView) -> HotRows:
        """A new generation with the rows that live in a view, in their order; `catch_up` brings it up to date."""
        copy = HotRows(self.dimension, has_text=self.text_index is not None)
        rows = np.flatnonzero(view.alive)
        for start in range(0, len(rows), _COPY_ROWS):
            copy.append(self._batch(rows[start : start + _COPY_ROWS]))
        return copy

    def catch_up(self, copy: HotRows, copied: RowsView) -> NDArray[np.int64]:
        """Bring a copy of `copied` to what is here now; nobody may write meanwhile.

        Returns:
            Where each row of these is in the copy, by public number; -1 for those that are in neither.
        """
        now = self.view
        gone = np.flatnonzero(copied.alive & ~now.alive[: copied.end])
        gone_ids = self.ids.texts_of(gone)
        copy.delete([id for id, row in zip(gone_ids, self._table.rows_of(gone_ids), strict=True) if row < 0])  # noqa: A001
        fresh = copied.end + np.flatnonzero(now.alive[copied.end :])
        if len(fresh):
            copy.append(self._batch(fresh))
        copy.first = self.first + now.end
        moved = np.full(now.end, -1)
        kept = np.concatenate([np.flatnonzero(copied.alive), fresh])
        moved[kept] = copy.first + np.arange(len(kept))
        return moved

    def stats(self) -> dict[str, Any]:
        """Counts and memory; see `HotIndex.stats`."""
        view, codes = self.view, self.codes
        is_coded = codes is not None and codes.width.is_good
        return {
            "rows": view.live,
            "deleted": view.end - view.live,
            "segments": 1 + (codes is not None and codes.end < view.end),
            "bytes": self.bytes,
            "kind": "ivf" if is_coded else "exact",
            "recall_probe": None if codes is None else codes.width.recall,
            "lists": 0 if codes is None else codes.lists,
            "candidates": 0 if codes is None else codes.width.candidates,
            "uncoded_rows": view.end - (codes.end if codes is not None else 0),
        }

    @property
    def bytes(self) -> int:
        """About how much memory the rows take."""
        arrays = self.vectors.bytes + self.ids.bytes + self.texts.bytes + self._alive.bytes + self._masks.bytes
        text_bytes = 0 if self.text_index is None else int(self.text_index.stats()["bytes"])
        codes = 0 if self.codes is None else self.codes.bytes
        return arrays + self.columns.bytes + text_bytes + codes + self._table.bytes + self._sources.bytes

    def _selection(
        self,
        view: RowsView,
        wanted: Filter | None,
        masked: frozenset[str],
        recent: RecentSelections,
    ) -> Selection:
        asked = (wanted, frozenset() if wanted is None else masked)
        selection = recent.find(view, asked)
        if selection is None:
            if wanted is not None:
                mask = self._masks.mask(wanted, masked, view.end) & view.alive
                selection = Selection.of_mask(self, self.first, view.end, mask)
            else:
                alive = None if view.live == view.end else view.alive
                selection = Selection(self, self.first, view.end, mask=alive)
            recent.keep(view, asked, selection)
        return selection

    def _rows_of(self, ids: Collection[str]) -> NDArray[np.int64]:
        rows = self._table.rows_of(ids)
        return rows[rows >= 0]

    def _bury(self, rows: NDArray[np.int64]) -> None:
        if len(rows):
            # A copy, as readers of earlier views still use the old array.
            alive = GrowingArray(np.bool_)
            alive.reserve(len(self._alive) + len(self._alive) // 8 + _SPARE_ROWS)
            alive.append(self._alive.view())
            alive.view()[rows] = False
            self._alive = alive

    def _batch(self, rows: NDArray[np.int64]) -> RowBatch:
        import pyarrow as pa

        texts = pa.array(self.texts.texts_of(rows), pa.large_string())
        metadata = pa.array([m.decode() for m in self.columns.json_of(rows)], pa.large_string())
        return RowBatch(self.ids.texts_of(rows), self.vectors.view()[rows], texts, metadata)


def _whole(column: pa.ChunkedArray) -> pa.LargeStringArray:
    """A column as one array, without a copy when it is one already."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
