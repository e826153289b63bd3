"""A corpus that does not fit into memory, searched in the bucket: the interface of a hot index over Lance's indexes.

It is of one version of its table and never changes; a write makes the next one, which takes over what is known of the
fragments that both have. Rows that came after Lance's indexes were made are compared one by one.

Belongs here: the interface that searches see. Not here: rows (see lance_rows.py), vectors (see lance_nearest.py), texts
(see lance_text.py), following the table (see lance_corpus.py).
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.hot_index import Hit
from lakehouse.adapters.lance_fragments import FragmentCache
from lakehouse.adapters.lance_nearest import distances_of, search_vectors, width_of
from lakehouse.adapters.lance_rows import LanceRows
from lakehouse.adapters.lance_search import matrix_of
from lakehouse.adapters.lance_table import LanceTable
from lakehouse.adapters.lance_text import TextSample, search_texts
from lakehouse.retrieval.filter_fit import FilterFit
from lakehouse.retrieval.filters import Filter
from lakehouse.retrieval.row_batch import Distance, check_vectors, read_query
from lakehouse.retrieval.selection import Selection

Rows = NDArray[np.int64]


class LanceIndex:
    """One version of a corpus in Lance; the methods are those of `HotIndex`, and block while the store answers.

    Args:
        table: The table; what serves now is what this is of.
        earlier: Of an earlier version.

    Raises:
        StoreUnavailable, BrokenFiles: The version cannot be opened.
    """

    def __init__(self, table: LanceTable, earlier: LanceIndex | None = None) -> None:
        live, files = table.live, table.files
        self.at = (live.uri, live.version)
        self.dimension = int(live.info["dimension"])
        self.distance: Distance = live.info.get("distance", "cosine")
        self.has_text = bool(live.info.get("has_text", True))
        self._cache: FragmentCache = FragmentCache() if earlier is None else earlier._cache
        self._made = live.info.get("index") or {}
        self._width = width_of(live.info)
        self._rows = LanceRows(files.at(live.version), live.uri, self._cache)
        self._cache.forget_others(live.uri, self._rows.fragments)
        self._sampling = threading.Lock()
        self._sample: TextSample | None = None if earlier is None else earlier._sample

    def __len__(self) -> int:
        return len(self._rows)

    def select(
        self,
        *,
        filter: Filter | None = None,  # noqa: A002 - the word of the contract
        only_ids: Collection[str] | None = None,
        only_sources: Collection[str] | None = None,
        exclude_ids: Collection[str] = (),
        masked: frozenset[str] = frozenset(),
    ) -> Selection:
        """The rows that a search may return; see `HotIndex.select`."""
        return self._rows.select(
            filter=filter, only_ids=only_ids, only_sources=only_sources, exclude_ids=exclude_ids, masked=masked
        )

    def check(self, filter: Filter, *, masked: frozenset[str] = frozenset()) -> FilterFit:  # noqa: A002
        """What the corpus says to a filter's fields and values."""
        return self._rows.check(filter, masked=masked)

    def search_vector(self, vector: object, k: int, selection: Selection) -> list[Hit]:
        """The nearest of the selected rows; see `HotIndex.search_vector`."""
        query = read_query(vector, dimension=self.dimension, distance=self.distance)
        return search_vectors(self._rows, query, k, selection, distance=self.distance, width=self._width)

    def search_text(self, query: str, k: int, selection: Selection) -> list[Hit]:
        """The selected rows with the best BM25 scores; see `HotIndex.search_text`."""
        if not self.has_text:
            return []
        return search_texts(self._rows, query, k, selection, sample=self._text_sample())

    def text_scores(self, query: str, rows: Rows) -> NDArray[np.float32]:
        """The BM25 scores of some rows, 0 without a term of the query."""
        if not self.has_text or not len(rows):
            return np.zeros(len(rows), np.float32)
        return self._text_sample().scores(query, self._rows.take(rows, ["text"]).column("text"))

    def term_weights(self, query: str) -> Mapping[str, float]:
        """The terms of a query and how rare each is; empty in a corpus without text."""
        return self._text_sample().term_weights(query) if self.has_text else {}

    def distances(self, vector: object, rows: Rows) -> NDArray[np.float32]:
        """The exact distances of some rows to a vector, in their order."""
        query = read_query(vector, dimension=self.dimension, distance=self.distance)
        return distances_of(self._rows, query, rows, self.distance)

    def row_of(self, id: str) -> int | None:  # noqa: A002 - the key of the rows
        """The row of an id, None when there is none."""
        rows = self._rows.rows_of([id])
        return int(rows[0]) if len(rows) else None

    def ids_of(self, rows: Rows) -> list[str]:
        """The ids of some rows."""
        return [str(one) for one in self._rows.take(rows, ["id"]).column("id").to_pylist()]

    def metadata_of(self, rows: Rows) -> list[bytes]:
        """The metadata of some rows: JSON objects as they were given."""
        return [one.encode() for one in self._rows.take(rows, ["metadata"]).column("metadata").to_pylist()]

    def texts_of(self, rows: Rows) -> list[str]:
        """The texts of some rows, empty where there is none."""
        return [one or "" for one in self._rows.take(rows, ["text"]).column("text").to_pylist()]

    def vectors_of(self, rows: Rows) -> NDArray[np.float32]:
        """The vectors of some rows, of length 1 under `cosine`."""
        return check_vectors(matrix_of(self._rows.take(rows, ["vector"]).column("vector")), distance=self.distance)

    def there(self, ids: Collection[str]) -> int:
        """How many of some ids there are."""
        return len(self._rows.rows_of(set(ids)))

    def stats(self) -> dict[str, Any]:
        """Counts for metrics, as `HotIndex.stats`; `kind` is `lance_flat` until `optimize` has made an index."""
        sample = self._sample
        return {
            "rows": len(self),
            "deleted": self._rows.deleted,
            "segments": len(self._rows.fragments),
            "bytes": self._cache.bytes + (0 if sample is None else sample.bytes),
            "kind": "lance_flat" if self._width is None else f"lance_{self._made['kind']}",
            "recall_probe": None if self._width is None else self._made.get("recall"),
            "lists": int(self._made.get("parts", 0)),
            "uncoded_rows": max(0, len(self) - int(self._made.get("rows", 0))),
        }

    def _text_sample(self) -> TextSample:
        with self._sampling:
            if self._sample is None or not self._sample.fits(self._rows):
                self._sample = TextSample(self._rows)
            return self._sample
