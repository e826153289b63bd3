"""The rows of a hot index: one generation of arrays that only grow, and which of their rows live.

A write appends, then publishes: one assignment replaces the view that readers begin with. A compaction makes a new
generation; row numbers go on from one generation to the next and are never used twice.

Belongs here: storing, publishing, deleting, copying what lives. Not here: searching (see hot_search.py), when to
compact (see hot_upkeep.py), checks of what comes in (see lakehouse/retrieval/row_batch.py).
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.faiss_codes import Codes
from lakehouse.errors import Unavailable
from lakehouse.retrieval.filters import Filter
from lakehouse.retrieval.growing import GrowingArray, GrowingStrings
from lakehouse.retrieval.metadata_columns import MetadataColumns, read_metadata
from lakehouse.retrieval.row_batch import RowBatch
from lakehouse.retrieval.selection import FilterMasks, Selection
from lakehouse.retrieval.text_index import TextIndex

if TYPE_CHECKING:
    import pyarrow as pa

_RECENT_BYTES = 32 << 20
_COPY_ROWS = 16_384
_SPARE_ROWS = 1_024
_PARSED_ROWS = 4_096


_Asked: TypeAlias = tuple[Filter | None, frozenset[str]]


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
        self._row_of: dict[str, int] = {}
        # Held while ids change, and while ids are looked up together with a view.
        self._publishing = threading.Lock()
        self._masks = FilterMasks(self.columns)
        # Selections of the newest view; those of an earlier one would keep its arrays alive.
        self._recent: tuple[RowsView, dict[_Asked, Selection]] = (self.view, {})

    @classmethod
    def restored(
        cls,
        dimension: int,
        vectors: NDArray[np.float32],
        alive: NDArray[np.bool_],
        strings: pa.Table,
        text_index: TextIndex | None,
    ) -> HotRows:
        """A generation as it was kept: `strings` has the columns `id`, `text` and `metadata`.

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
        rows.texts.append(strings["text"])
        for batch in strings.select(["metadata"]).to_batches(_PARSED_ROWS):
            texts = batch.column(0).to_pylist()
            rows.columns.append(batch.column(0), read_metadata(texts, ids=texts))
        ids = rows.ids.view().to_pylist()
        rows._row_of = {ids[row]: row for row in np.flatnonzero(alive).tolist()}
        rows.view = RowsView(len(alive), len(rows._row_of), alive)
        return rows

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
            replaced = [row for row in map(self._row_of.get, batch.ids) if row is not None]
            self._row_of.update(zip(batch.ids, range(start, end), strict=True))
            self._bury(replaced)
            # Beyond what any reader of an earlier view looks at.
            self._alive.append(np.ones(end - start, np.bool_))
            live = self.view.live + end - start - len(replaced)
            self.view = RowsView(end, live, self._alive.view(0, end))

    def delete(self, ids: Iterable[str]) -> int:
        """Let rows die; how many lived."""
        with self._publishing:
            rows = [row for id in ids if (row := self._row_of.pop(id, None)) is not None]  # noqa: A001
            if rows:
                self._bury(rows)
                view = self.view
                self.view = RowsView(view.end, view.live - len(rows), self._alive.view(0, view.end))
            return len(rows)

    def row_of(self, id: str) -> int | None:  # noqa: A002 - the key of the rows
        """The row of an id that lives, counted from 0."""
        return self._row_of.get(id)

    def has_rows(self, numbers: NDArray[np.int64]) -> bool:
        """Whether all of these public numbers are of this generation."""
        return bool(self.first <= numbers.min() and numbers.max() < self.first + self.view.end)

    def living_ids(self) -> list[str]:
        """The ids that live."""
        with self._publishing:
            return list(self._row_of)

    def select(
        self,
        *,
        filter: Filter | None,  # noqa: A002 - the word of the contract
        only_ids: Collection[str] | None,
        exclude_ids: Collection[str],
        masked: frozenset[str],
    ) -> Selection:
        """The living rows that pass; see `HotIndex.select`."""
        if only_ids is None and not exclude_ids:
            return self._selection(self.view, filter, masked)
        with self._publishing:
            view = self.view
            only = None if only_ids is None else self._rows_of(only_ids)
            excluded = self._rows_of(exclude_ids)
        selection = self._selection(view, filter, masked)
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

    def forget_selections(self) -> None:
        """Let go of selections made lately: they point back here, and would keep a generation that nobody needs."""
        self._recent = (self.view, {})

    def catch_up(self, copy: HotRows, copied: RowsView) -> NDArray[np.int64]:
        """Bring a copy of `copied` to what is here now; nobody may write meanwhile.

        Returns:
            Where each row of these is in the copy, by public number; -1 for those that are in neither.
        """
        now = self.view
        gone = np.flatnonzero(copied.alive & ~now.alive[: copied.end])
        copy.delete(id for id in self.ids.texts_of(gone) if id not in self._row_of)  # noqa: A001
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
        kind = "exact" if codes is None or not is_coded else "pq" if codes.width.lists >= codes.lists else "ivf"
        return {
            "rows": view.live,
            "deleted": view.end - view.live,
            "segments": 1 + (codes is not None and codes.end < view.end),
            "bytes": self.bytes,
            "kind": kind,
            "recall_probe": None if codes is None else codes.width.recall,
            "lists_scanned": 0 if codes is None else codes.width.lists,
            "candidates": 0 if codes is None else codes.width.candidates,
            "uncoded_rows": view.end - (codes.end if codes is not None else 0),
        }

    @property
    def bytes(self) -> int:
        """Memory of all that is kept, about; a Python string and its place in a dictionary take about 150 bytes."""
        arrays = self.vectors.bytes + self.ids.bytes + self.texts.bytes + self._alive.bytes + self._masks.bytes
        text_bytes = 0 if self.text_index is None else int(self.text_index.stats()["bytes"])
        codes = 0 if self.codes is None else self.codes.bytes
        return arrays + self.columns.bytes + text_bytes + codes + 150 * len(self._row_of)

    def _selection(self, view: RowsView, filter: Filter | None, masked: frozenset[str]) -> Selection:  # noqa: A002
        key = (filter, frozenset() if filter is None else masked)
        of_view, selections = self._recent
        if of_view is view and key in selections:
            return selections[key]
        if filter is not None:
            mask = self._masks.mask(filter, masked, view.end)
            selection = Selection(self, self.first, view.end, mask=mask & view.alive)
        else:
            alive = None if view.live == view.end else view.alive
            selection = Selection(self, self.first, view.end, mask=alive)
        if of_view is not view or len(selections) >= max(1, _RECENT_BYTES // max(1, view.end)):
            self._recent = (view, {key: selection})
        else:
            selections[key] = selection
        return selection

    def _rows_of(self, ids: Collection[str]) -> NDArray[np.int64]:
        return np.array([row for row in map(self._row_of.get, ids) if row is not None], np.int64)

    def _bury(self, rows: Sequence[int]) -> None:
        if rows:
            # A copy: readers of earlier views go on with what they have.
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
