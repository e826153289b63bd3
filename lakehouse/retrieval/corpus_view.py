"""A corpus as retrieval sees it: an index in memory or Lance's own, with what is known of its embedder and scores.

Belongs here: the Protocols. Not here: who implements them (see lakehouse/adapters/open_corpus.py).
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lakehouse.retrieval.filter_fit import FilterFit
from lakehouse.retrieval.filters import Filter
from lakehouse.retrieval.relevance import RelevanceModel
from lakehouse.retrieval.selection import Selection


class Hit(Protocol):
    """A row and its value: a distance or a text score."""

    @property
    def row(self) -> int: ...

    @property
    def id(self) -> str: ...

    @property
    def value(self) -> float: ...


class CorpusView(Protocol):
    """A corpus that can be searched. Rows are numbers that stay valid for the length of one search."""

    @property
    def name(self) -> str: ...

    @property
    def embedder(self) -> str:
        """Name of the embedder that queries need."""
        ...

    @property
    def dimension(self) -> int: ...

    @property
    def distance(self) -> str:
        """`cosine`, `l2` or `dot`."""
        ...

    @property
    def revision(self) -> str:
        """A text that changes when the rows change."""
        ...

    @property
    def numbering(self) -> object:
        """An object that stays the same for as long as each row number means the same row and text."""
        ...

    @property
    def has_text(self) -> bool:
        """True when text search finds anything in it."""
        ...

    @property
    def is_stale(self) -> bool:
        """True when its store did not answer lately."""
        ...

    @property
    def is_in_memory(self) -> bool:
        """False when calls may wait for the store, so that they must be made in a thread."""
        ...

    @property
    def personal(self) -> frozenset[str]:
        """Its personal metadata fields."""
        ...

    @property
    def state(self) -> Hashable:
        """A value that changes when the same search may give another result."""
        ...

    @property
    def info(self) -> Mapping[str, Any]:
        """What its table says of itself: dataset, id column, personal columns, calibration."""
        ...

    def select(
        self,
        *,
        filter: Filter | None,  # noqa: A002 - the word of the contract
        only_ids: Collection[str] | None,
        only_sources: Collection[str] | None,
        exclude_ids: Collection[str],
        masked: frozenset[str],
    ) -> Selection:
        """The rows that may come back; of a corpus of chunks `only_sources` are ids of what they were cut from."""
        ...

    def nearest_rows(
        self, vector: NDArray[np.float32], k: int, selection: Selection
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The nearest of the selected rows and their distances, nearest first, no row twice."""
        ...

    def search_text(self, query: str, k: int, selection: Selection) -> Sequence[Hit]: ...

    def distances(self, vector: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]: ...

    def text_scores(self, query: str, rows: NDArray[np.int64]) -> NDArray[np.float32]: ...

    def similarity(self, distances: NDArray[np.float32]) -> NDArray[np.float32]:
        """Similarities from distances, higher is nearer: the negative distance plus a constant."""
        ...

    def check(self, filter: Filter, *, masked: frozenset[str]) -> FilterFit:  # noqa: A002
        """What the corpus says to a filter's fields and values."""
        ...

    def row_of(self, id: str) -> int | None: ...  # noqa: A002

    def ids_of(self, rows: NDArray[np.int64]) -> list[str]: ...

    def metadata_of(self, rows: NDArray[np.int64]) -> list[bytes]: ...

    def texts_of(self, rows: NDArray[np.int64]) -> list[str]: ...

    def vectors_of(self, rows: NDArray[np.int64]) -> NDArray[np.float32]: ...

    @property
    def calibration(self) -> RelevanceModel | None:
        """The model of relevance for its rows; None when there is none."""
        ...

    def term_weights(self, query: str) -> Mapping[str, float]:
        """The terms of a query and how rare each is in this corpus; empty in one without text."""
        ...

    def relevance(
        self, similarity: NDArray[np.float32], text_share: NDArray[np.float32] | None
    ) -> NDArray[np.float32] | None:
        """Probabilities that rows are relevant; None when there is no calibration.

        Args:
            similarity: (n,) cosine of query and row.
            text_share: (n,) text score over what all terms of the query weigh; None where the search has none.
        """
        ...
