"""The hot index: one corpus in memory, written to and searched at once.

Every search sees the whole of each write or nothing of it. Rows are numbers; a number is never used twice, and stays
good for as long as the selection that it came from is kept.

Belongs here: the index as others use it. Not here: rows (see hot_rows.py), searching them (see hot_search.py), codes
and compaction (see hot_upkeep.py), files (see hot_snapshot.py), where rows come from (see open_corpus.py).
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.faiss_kernels import row_distances
from lakehouse.adapters.hot_generations import Generations
from lakehouse.adapters.hot_rows import HotRows, RowsView
from lakehouse.adapters.hot_search import search_rows
from lakehouse.adapters.hot_search_together import search_rows_of_each
from lakehouse.adapters.hot_upkeep import Upkeep
from lakehouse.errors import BadInput
from lakehouse.retrieval.filter_fit import FilterFit
from lakehouse.retrieval.filters import Filter
from lakehouse.retrieval.row_batch import DISTANCES, Distance, read_batch, read_query
from lakehouse.retrieval.selection import RecentSelections, Selection

if TYPE_CHECKING:
    import pyarrow as pa

Rows = NDArray[np.int64]


class Hit(msgspec.Struct, frozen=True, gc=False):
    """A row that was found; `value` is a distance (`search_vector`) or a BM25 score (`search_text`)."""

    row: int
    id: str
    value: float


class HotIndex:
    """One corpus in memory; all methods are thread-safe, and no search waits for a write.

    Args:
        dimension: Length of the vectors.
        distance: `cosine` (1 − cosine), `l2` (squared) or `dot` (negative product).
        has_text: Keep an index of the texts for `search_text`.

    Source: CONTRACTS.md section 7; ARCHITECTURE.md section 3.
    """

    def __init__(self, *, dimension: int, distance: Distance = "cosine", has_text: bool = True) -> None:
        if distance not in DISTANCES:
            raise BadInput(f"there is no distance {distance!r}; known: {', '.join(DISTANCES)}")
        if dimension < 1:
            raise BadInput(f"the dimension of an index is at least 1, not {dimension}")
        self.dimension = dimension
        self.distance: Distance = distance
        self.has_text = has_text
        self._writing = threading.Lock()
        self._rows = HotRows(dimension, has_text=has_text)
        self._recent = RecentSelections()
        self._upkeep = Upkeep(self)
        self._generations: Generations[HotRows] = Generations()

    def __len__(self) -> int:
        return self._rows.view.live

    def reserve(self, rows: int) -> None:
        """Prepare for a load of so many rows in all: memory is allocated once, and codes are trained after the load.

        End it by `settle`.
        """
        self._upkeep.expected_rows = rows
        with self._writing:
            self._rows.vectors.reserve(rows)

    def upsert(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Insert or replace rows by id; searches that begin after it returns find all of them.

        Args:
            batch: `id`, `vector`, and if they are there `text` and `metadata` (see lakehouse/tables/corpus.py). The
                last one counts where one id comes twice.

        Raises:
            BadInput: Names the item by id and position; nothing was changed.
        """
        rows = read_batch(batch, dimension=self.dimension, distance=self.distance)
        if not rows.ids:
            return
        with self._writing:
            self._rows.append(rows)
        self._upkeep.kick()

    def delete(self, ids: Sequence[str]) -> int:
        """Take rows away; how many were there."""
        with self._writing:
            count = self._rows.delete(ids)
        self._upkeep.kick()
        return count

    def keep_only(self, ids: Collection[str]) -> int:
        """Take away every row but these; how many went."""
        kept = set(ids)
        with self._writing:
            gone = [id for id in self._rows.living_ids() if id not in kept]  # noqa: A001
            count = self._rows.delete(gone)
        self._upkeep.kick()
        return count

    def settle(self) -> None:
        """Do all upkeep that is due and return when it is done; call it after a load and before a snapshot."""
        self._upkeep.settle()

    def select(
        self,
        *,
        filter: Filter | None = None,  # noqa: A002 - the word of the contract
        only_ids: Collection[str] | None = None,
        only_sources: Collection[str] | None = None,
        exclude_ids: Collection[str] = (),
        masked: frozenset[str] = frozenset(),
    ) -> Selection:
        """The rows that a search may return, as of now.

        Args:
            filter: Rows must pass it.
            only_ids: And be among these; unknown ids are passed over.
            only_sources: And be chunks of rows of the source with these ids.
            exclude_ids: And not among these.
            masked: Metadata columns that read as the constant `[masked]` to the filter.
        """
        return self._rows.select(
            filter=filter,
            only_ids=only_ids,
            only_sources=only_sources,
            exclude_ids=exclude_ids,
            masked=masked,
            recent=self._recent,
        )

    def check(self, filter: Filter, *, masked: frozenset[str] = frozenset()) -> FilterFit:  # noqa: A002
        """What the corpus says to a filter's fields and values."""
        return self._rows.columns.check(filter, masked=masked)

    def search_vector(self, vector: object, k: int, selection: Selection) -> list[Hit]:
        """The nearest of the selected rows, nearest first: `k`, or all where fewer are selected.

        Args:
            vector: (dimension,), of any length under `cosine`.
            k: How many; none for less than 1.
            selection: From `select`.

        Raises:
            BadInput: Another dimension, a value that is not finite, a zero vector under `cosine`.
        """
        return hits_of(selection, *self.nearest_rows(vector, k, selection))

    def nearest_rows(self, vector: object, k: int, selection: Selection) -> tuple[Rows, NDArray[np.float32]]:
        """The same as rows and distances: for those who need no ids, or will ask for a few of them."""
        rows, distances = search_rows(selection, self.read_query(vector), k, self.distance)
        return rows + selection.first, distances

    def read_query(self, vector: object) -> NDArray[np.float32]:
        """A query as it is compared, for `nearest_rows_of_each`; raises as `search_vector` does."""
        return read_query(vector, dimension=self.dimension, distance=self.distance)

    def nearest_rows_of_each(
        self, queries: Sequence[NDArray[np.float32]], k: int, selection: Selection
    ) -> list[tuple[Rows, NDArray[np.float32]]]:
        """The same as `nearest_rows` for each of some queries that `read_query` has read."""
        # As `np.stack`, without its overhead for each array.
        together = np.concatenate(queries).reshape(len(queries), self.dimension)
        found = search_rows_of_each(selection, together, k, self.distance)
        return [(rows + selection.first, distances) for rows, distances in found] if selection.first else found

    def search_text(self, query: str, k: int, selection: Selection) -> list[Hit]:
        """The selected rows with the best BM25 scores, best first; those without a term of the query never come."""
        index = selection.source.text_index
        if index is None or k < 1:
            return []
        rows, scores = index.top(query, k, selection.mask())
        return hits_of(selection, rows + selection.first, scores)

    def text_scores(self, query: str, rows: Rows) -> NDArray[np.float32]:
        """The BM25 scores of some rows, 0 without a term of the query."""
        source, at = self._at(rows)
        if source.text_index is None:
            return np.zeros(len(at), np.float32)
        return source.text_index.scores_of(query, at)

    def term_weights(self, query: str) -> dict[str, float]:
        """The terms of a query and how rare each is; empty without an index of texts."""
        index = self._rows.text_index
        return {} if index is None else index.term_weights(query)

    def distances(self, vector: object, rows: Rows) -> NDArray[np.float32]:
        """The exact distances of some rows to a vector, in their order.

        Raises:
            BadInput: As `search_vector`.
        """
        query = read_query(vector, dimension=self.dimension, distance=self.distance)
        source, at = self._at(rows)
        return row_distances(source.vectors.view(), query, at, self.distance)

    def row_of(self, id: str) -> int | None:  # noqa: A002 - the key of the rows
        """The row of an id, None when there is none."""
        rows = self._rows
        at = rows.row_of(id)
        return None if at is None else rows.first + at

    def rows_of(self, ids: Sequence[str]) -> Rows:
        """The rows of some ids, in their order; -1 where there is none."""
        rows = self._rows
        at = rows.rows_of(ids)
        return np.where(at < 0, at, rows.first + at)

    def ids_of(self, rows: Rows) -> list[str]:
        """The ids of some rows."""
        source, at = self._at(rows)
        return source.ids.texts_of(at)

    def metadata_of(self, rows: Rows) -> list[bytes]:
        """The metadata of some rows: JSON objects as they were given."""
        source, at = self._at(rows)
        return source.columns.json_of(at)

    def texts_of(self, rows: Rows) -> list[str]:
        """The texts of some rows, empty where there is none."""
        source, at = self._at(rows)
        return source.texts.texts_of(at)

    def vectors_of(self, rows: Rows) -> NDArray[np.float32]:
        """The vectors of some rows, of length 1 under `cosine`."""
        source, at = self._at(rows)
        vectors: NDArray[np.float32] = source.vectors.view()[at]
        return vectors

    def stats(self) -> dict[str, Any]:
        """Counts for metrics: rows, deleted, segments, bytes; kind (`exact`, `ivf`) and recall_probe."""
        return self._rows.stats()

    def save(self, folder: Path, *, source: Mapping[str, Any] | None = None) -> None:
        """Write a snapshot.

        Args:
            folder: Replaced when it is there; written beside it first, so that what is there is whole.
            source: What it belongs to (table, version); `load` compares it.
        """
        from lakehouse.adapters.hot_snapshot import save_rows

        save_rows(self._rows, folder, distance=self.distance, source=dict(source or {}), writing=self._writing)

    @classmethod
    def load(cls, folder: Path, *, source: Mapping[str, Any] | None = None) -> Self:
        """Read a snapshot.

        Raises:
            NotFound: There is none.
            Conflict: It is damaged, of another format, or of another source; build the index from its table.
        """
        from lakehouse.adapters.hot_snapshot import load_rows

        rows, distance = load_rows(folder, source=source)
        index = cls(dimension=rows.dimension, distance=distance, has_text=rows.text_index is not None)
        index._rows = rows
        return index

    @property
    def generation(self) -> HotRows:
        """The rows that searches begin with now."""
        return self._rows

    def swap(self, copy: HotRows, old: HotRows, copied: RowsView) -> None:
        """Search a compacted copy of `copied`, a view of `old`, from now on, with what was written since."""
        with self._writing:
            self._generations.leave(old, old.catch_up(copy, copied))
            self._rows = copy
            self._recent = RecentSelections()

    def _at(self, rows: Rows) -> tuple[HotRows, Rows]:
        return self._generations.find(self._rows, rows)


def hits_of(selection: Selection, rows: Rows, values: NDArray[np.float32]) -> list[Hit]:
    """Rows of a selection, by their public numbers, with their ids."""
    ids = selection.source.ids.texts_of(rows - selection.first)
    return list(map(Hit, rows.tolist(), ids, values.tolist()))
