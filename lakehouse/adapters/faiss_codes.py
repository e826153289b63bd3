"""Compressed codes of vectors: 4 bits for every value, in lists around centroids, scanned by faiss with SIMD.

A scan takes the best of some lists by code; which lists, and the exact distances of what was found, are the business of
codes_search.py. Codes are never changed: longer ones are a copy, so that readers go on with what they have.

Belongs here: training, encoding, scanning. Not here: searching (see codes_search.py), how wide (see codes_probe.py),
when to train (see hot_upkeep.py).

Source: André, Kermarrec & Le Scouarnec 2015, Cache locality is not enough; faiss, IndexIVFPQFastScan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.faiss_kernels import faiss_library
from lakehouse.adapters.short_vectors import ShortVectors, lengthened
from lakehouse.retrieval.row_batch import Distance

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
LEAST_RECALL = 0.98
_SEED = 7
_TRAINING_ROWS = 30_000
_ROWS_PER_LIST = 40
_ITERATIONS = 10
_ADD_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class SearchWidth:
    """How far a search looks, measured on the corpus itself. Closeness is as `Codes.closeness` gives it.

    Args:
        candidates: Rows taken by their codes for 10 results.
        gap: First, lists are scanned whose centroid is at most this much less close than the nearest centroid.
        reach: Then, lists whose centroid is at most this much less close than the k-th result.
        recall: Share of the true 10 nearest that was found so, for the worst kind of query near the corpus.
    """

    candidates: int
    gap: float
    reach: float
    recall: float

    @property
    def is_good(self) -> bool:
        """False when the codes find too little to be used."""
        return self.recall >= LEAST_RECALL

    def candidates_for(self, k: int) -> int:
        """Rows to take for `k` results."""
        return self.candidates + 2 * max(0, k - 10)


ALL = SearchWidth(400, np.inf, np.inf, 0.0)


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes of the first `end` rows of a matrix.

    Args:
        index: The faiss index.
        centroids: Of its lists, (lists, d).
        distance: Of the index.
        end: Rows it has.
        trained_rows: Rows there were when it was trained.
        width: How far a search looks.
    """

    index: Any
    centroids: Vectors
    distance: Distance
    end: int
    trained_rows: int
    width: SearchWidth

    @property
    def lists(self) -> int:
        """How many lists there are."""
        return len(self.centroids)

    @property
    def bytes(self) -> int:
        """Memory: codes and row numbers, centroids twice."""
        return self.end * (int(self.index.code_size) + 8) + 2 * self.centroids.nbytes

    def closeness(self, query: Vectors) -> Vectors:
        """How close each centroid is to a query (d,): the inner product, or the negative root of the squared distance.

        A row can be closer than the centroid of its list by no more than its distance from it (times the query's
        length, which is 1 under `cosine`).
        """
        if self.distance == "l2":
            differences = self.centroids - query
            roots: Vectors = np.sqrt(np.einsum("ij,ij->i", differences, differences))
            return -roots
        products: Vectors = self.centroids @ query
        return products

    def closeness_of_each(self, queries: Vectors) -> Vectors:
        """The same for some queries (m, d): (m, lists)."""
        if self.distance == "l2":
            return np.stack([self.closeness(query) for query in queries])
        products: Vectors = queries @ self.centroids.T
        return products

    def list_of(self, vectors: Vectors | ShortVectors) -> Rows:
        """The list that each row of a matrix is in."""
        _, found = self.index.quantizer.search(padded(vectors), 1)
        lists: Rows = found[:, 0]
        return lists

    def scan(self, query: Vectors, lists: Rows, count: int, *, selector: Any = None) -> tuple[Rows, Vectors]:
        """The rows of some lists that look nearest by their codes.

        Args:
            query: As it is compared, (d,).
            lists: Numbers of the lists.
            count: How many rows at most.
            selector: From `selector_of`: rows that may come.

        Returns:
            Rows and what their codes say: distances, least first, of a scale of their own.
        """
        faiss = faiss_library()
        pointer = faiss.swig_ptr
        count = min(count, self.end)
        rows, values = np.empty(count, np.int64), np.empty(count, np.float32)
        parameters = _parameters(len(lists)) if selector is None else _parameters.__wrapped__(len(lists), selector)
        # faiss wants distances to the lists, which only codes of residuals use; these codes ignore them.
        unused = np.zeros(len(lists), np.float32)
        asked = padded(query[None, :])  # kept in a variable, as the pointer given to faiss keeps nothing alive
        self.index.search_preassigned_c(
            1, pointer(asked), count, pointer(lists), pointer(unused), pointer(values), pointer(rows),
            False, parameters,
        )  # fmt: skip
        if rows[-1] < 0:
            is_there = rows >= 0
            rows, values = rows[is_there], values[is_there]
        return rows, values if self.distance == "l2" else -values

    def scan_each(self, queries: Vectors, lists: Rows, count: int) -> Rows:
        """The rows that look nearest to each query in lists of its own.

        Args:
            queries: As they are compared, (m, d).
            lists: Numbers of the lists, (m, l); -1 is none.
            count: How many rows at most.

        Returns:
            Rows (m, count), those that look nearest first, -1 where there are no more.
        """
        faiss = faiss_library()
        pointer = faiss.swig_ptr
        shape = len(queries), min(count, self.end)
        rows, values, unused = np.empty(shape, np.int64), np.empty(shape, np.float32), np.zeros(lists.shape, np.float32)
        asked = padded(queries)  # kept in a variable, as the pointer given to faiss keeps nothing alive
        self.index.search_preassigned_c(
            len(queries), pointer(asked), shape[1], pointer(lists), pointer(unused), pointer(values),
            pointer(rows), False, _parameters(lists.shape[1]),
        )  # fmt: skip
        return rows

    def extended(self, vectors: Vectors | ShortVectors) -> Codes:
        """The codes of all rows of a matrix that begins with the rows coded here."""
        faiss = faiss_library()
        longer = faiss.clone_index(self.index)
        _add(longer, vectors, self.end)
        return replace(self, index=longer, end=len(vectors))

    def recoded(self, vectors: Vectors | ShortVectors) -> Codes:
        """The codes of all rows of another matrix, by what was learned from this one."""
        faiss = faiss_library()
        other = faiss.clone_index(self.index)
        other.reset()
        _add(other, vectors, 0)
        return replace(self, index=other, end=len(vectors))

    def write(self, path: Path) -> None:
        """Write the index to a file."""
        faiss = faiss_library()
        faiss.write_index(self.index, str(path))


def train(vectors: Vectors | ShortVectors, distance: Distance) -> Codes:
    """Codes of all rows of a matrix, trained on a sample of them; a search looks at all lists until it is measured.

    Args:
        vectors: (n, d), n some thousands, as they are compared.
        distance: `l2`, or an inner product for the others.
    """
    faiss = faiss_library()
    count, dimension = vectors.shape
    lists = list_count(count)
    even = dimension + dimension % 2
    metric = faiss.METRIC_L2 if distance == "l2" else faiss.METRIC_INNER_PRODUCT
    # One code for each value. One for every two values takes half the memory, but needs six times the candidates among
    # static vectors.
    index = faiss.index_factory(even, f"IVF{lists},PQ{even}x4fs", metric)
    # The codes are of the vectors themselves and not of residuals, so one lookup table serves all lists.
    index.by_residual = False
    index.cp.niter = _ITERATIONS
    index.cp.seed = _SEED
    size = min(count, max(_TRAINING_ROWS, _ROWS_PER_LIST * lists))
    sample = np.sort(np.random.default_rng(_SEED).choice(count, size, replace=False))
    index.train(padded(vectors[sample]))
    _add(index, vectors, 0)
    return _codes(index, distance, count, ALL, dimension)


def read(path: Path, distance: Distance, *, dimension: int, trained_rows: int, width: SearchWidth) -> Codes:
    """Read what `Codes.write` wrote.

    Raises:
        RuntimeError: It is no index that faiss knows.
    """
    faiss = faiss_library()
    index = faiss.read_index(str(path))
    return _codes(index, distance, trained_rows, width, dimension)


@lru_cache(maxsize=1024)
def _parameters(lists: int, selector: Any = None) -> Any:
    """The search parameters for so many lists; cached, as making them takes as long as a short scan."""
    return faiss_library().SearchParametersIVF(nprobe=lists, sel=selector)


def selector_of(mask: NDArray[np.bool_]) -> Any:
    """The selector that restricts `Codes.scan` to the rows of a mask."""
    faiss = faiss_library()
    return faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))


def list_count(rows: int) -> int:
    """Lists for so many rows: a power of two somewhat under their square root, where a search is quickest."""
    return max(16, 1 << int(np.log2(max(1.0, 0.75 * np.sqrt(rows)))))


def padded(vectors: Vectors | ShortVectors) -> Vectors:
    """The same with a zero behind each row where the dimension is odd: a byte holds the codes of two values."""
    vectors = lengthened(vectors)
    if vectors.shape[1] % 2 == 0:
        return np.ascontiguousarray(vectors)
    return np.pad(vectors, ((0, 0), (0, 1)))


def _codes(index: Any, distance: Distance, trained_rows: int, width: SearchWidth, dimension: int) -> Codes:
    centroids = np.ascontiguousarray(index.quantizer.reconstruct_n(0, index.nlist)[:, :dimension])
    return Codes(index, centroids, distance, int(index.ntotal), trained_rows, width)


def _add(index: Any, vectors: Vectors | ShortVectors, start: int) -> None:
    for first in range(start, len(vectors), _ADD_ROWS):
        index.add(padded(vectors[first : first + _ADD_ROWS]))
