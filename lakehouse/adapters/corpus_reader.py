"""A corpus as one search sees it: an index and what the table says of itself, both as of one moment.

Belongs here: the `CorpusView` over an index, in memory or of Lance. Not here: keeping the index fresh (see
open_corpus.py, lance_corpus.py).
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.hot_index import HotIndex
from lakehouse.adapters.lance_index import LanceIndex
from lakehouse.retrieval.corpus_view import Hit
from lakehouse.retrieval.filter_fit import FilterFit
from lakehouse.retrieval.filters import Filter
from lakehouse.retrieval.masking import personal_fields
from lakehouse.retrieval.relevance import RelevanceModel
from lakehouse.retrieval.selection import Selection


@dataclass(frozen=True, slots=True)
class CorpusReader:
    """A corpus for searches. A later one may hold another index: a search keeps the one that it began with."""

    name: str
    info: Mapping[str, Any]
    index: HotIndex | LanceIndex
    revision: str
    is_stale: bool = False
    calibration: RelevanceModel | None = None

    # Computed once, as every search asks for them:
    is_in_memory: bool = field(init=False)
    """False when searching waits for the store, and so belongs into a thread."""
    embedder: str = field(init=False)
    """Name of the embedder of its vectors."""
    dimension: int = field(init=False)
    """Length of its vectors."""
    distance: str = field(init=False)
    """`cosine`, `l2` or `dot`."""
    has_text: bool = field(init=False)
    """True when rows may have text."""
    personal: frozenset[str] = field(init=False)
    """Its personal metadata fields."""
    state: Hashable = field(init=False)
    """Another one when the same search may find something else."""

    def __post_init__(self) -> None:
        info, personal = self.info, personal_fields(self.info)
        made = {
            "is_in_memory": isinstance(self.index, HotIndex),
            "embedder": str(info["embedder"]),
            "dimension": int(info["dimension"]),
            "distance": str(info.get("distance", "cosine")),
            "has_text": bool(info.get("has_text", True)),
            "personal": personal,
            "state": (self.revision, personal, self.calibration),
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)

    @property
    def numbering(self) -> object:
        """The index itself, as it never uses a row number twice."""
        return self.index

    def select(
        self,
        *,
        filter: Filter | None = None,  # noqa: A002 - the word of the contract
        only_ids: Collection[str] | None = None,
        only_sources: Collection[str] | None = None,
        exclude_ids: Collection[str] = (),
        masked: frozenset[str] = frozenset(),
    ) -> Selection:
        """The rows that may come back."""
        return self.index.select(
            filter=filter, only_ids=only_ids, only_sources=only_sources, exclude_ids=exclude_ids, masked=masked
        )

    def check(self, filter: Filter, *, masked: frozenset[str]) -> FilterFit:  # noqa: A002
        """What the corpus says to a filter's fields and values."""
        return self.index.check(filter, masked=masked)

    def search_vector(self, vector: NDArray[np.float32], k: int, selection: Selection) -> Sequence[Hit]:
        """The nearest rows, nearest first."""
        return self.index.search_vector(vector, k, selection)

    def nearest_rows(
        self, vector: NDArray[np.float32], k: int, selection: Selection
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The same as rows and distances."""
        if isinstance(self.index, HotIndex):
            return self.index.nearest_rows(vector, k, selection)
        hits = self.index.search_vector(vector, k, selection)
        return np.array([hit.row for hit in hits], np.int64), np.array([hit.value for hit in hits], np.float32)

    def search_text(self, query: str, k: int, selection: Selection) -> Sequence[Hit]:
        """The rows with the best text scores, best first."""
        return self.index.search_text(query, k, selection)

    def distances(self, vector: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Exact distances of some rows."""
        return self.index.distances(vector, rows)

    def similarity(self, distances: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distances turned round: the cosine itself, or the negative distance."""
        return np.float32(1) - distances if self.distance == "cosine" else -distances

    def relevance(
        self, similarity: NDArray[np.float32], text_share: NDArray[np.float32] | None
    ) -> NDArray[np.float32] | None:
        """Probabilities that rows are relevant, None where nothing judges them."""
        model = self.calibration
        if model is None or text_share is None:
            return None if model is None else model.probability_alone(similarity)
        return model.probability(similarity, text_share)

    def text_scores(self, query: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Text scores of some rows."""
        return self.index.text_scores(query, rows)

    def row_of(self, id: str) -> int | None:  # noqa: A002
        """The row of an id."""
        return self.index.row_of(id)

    def ids_of(self, rows: NDArray[np.int64]) -> list[str]:
        """The ids of some rows."""
        return self.index.ids_of(rows)

    def metadata_of(self, rows: NDArray[np.int64]) -> list[bytes]:
        """The metadata of some rows, JSON objects."""
        return self.index.metadata_of(rows)

    def texts_of(self, rows: NDArray[np.int64]) -> list[str]:
        """The texts of some rows."""
        return self.index.texts_of(rows)

    def vectors_of(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of some rows."""
        return self.index.vectors_of(rows)

    def term_weights(self, query: str) -> Mapping[str, float]:
        """The terms of a query and how rare each is in this corpus."""
        return self.index.term_weights(query)
