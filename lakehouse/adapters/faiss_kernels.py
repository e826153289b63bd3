"""Exact distances by faiss's kernels: rows of a matrix, side by side or picked, without a copy of them.

The number of faiss's threads is a setting of each calling thread. It is set to one at a thread's first call, since
OpenMP threads wait by spinning, which costs more than they gain on a busy machine.

Belongs here: distances of rows, the nearest among them. Not here: compressed codes (see faiss_codes.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.short_vectors import ShortVectors, products_of, products_of_each
from lakehouse.retrieval.row_batch import Distance

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
_of_thread = threading.local()
_ZERO, _ONE = np.float32(0), np.float32(1)


def faiss_library() -> Any:
    """faiss, set to one thread for who calls; untyped, since its stubs know neither the kernels nor the parameters."""
    import faiss

    if not hasattr(_of_thread, "is_set"):
        faiss.omp_set_num_threads(1)
        _of_thread.is_set = True
    return faiss


def span_distances(vectors: Vectors, query: Vectors, distance: Distance) -> Vectors:
    """The distance of every row of a contiguous (n, d) matrix to a query (d,)."""
    faiss = faiss_library()
    count, dimension = vectors.shape
    found = np.empty(count, np.float32)
    kernel: Callable[..., Any] = faiss.fvec_L2sqr_ny if distance == "l2" else faiss.fvec_inner_products_ny
    if count:
        pointer = faiss.swig_ptr
        kernel(pointer(found), pointer(query), pointer(vectors), dimension, count)
    return _as_distances(found, distance)


def row_distances(vectors: Vectors | ShortVectors, query: Vectors, rows: Rows, distance: Distance) -> Vectors:
    """The distances of some rows, in their order; short vectors have no distance `l2`."""
    if vectors.dtype == np.int16:
        return _as_distances(products_of(vectors, query, rows), distance)
    faiss = faiss_library()
    found = np.empty(len(rows), np.float32)
    kernel: Callable[..., Any] = faiss.fvec_L2sqr_by_idx if distance == "l2" else faiss.fvec_inner_products_by_idx
    if len(rows):
        pointer = faiss.swig_ptr
        kernel(pointer(found), pointer(query), pointer(vectors), pointer(rows), vectors.shape[1], 1, len(rows))
    return _as_distances(found, distance)


def row_distances_of_each(vectors: Vectors | ShortVectors, queries: Vectors, rows: Rows, distance: Distance) -> Vectors:
    """The distances of some rows of each query: (m, c) for queries (m, d) and rows (m, c); infinite for row -1."""
    if vectors.dtype == np.int16:
        return _as_distances(products_of_each(vectors, queries, rows), distance)
    faiss = faiss_library()
    found = np.empty(rows.shape, np.float32)
    kernel: Callable[..., Any] = faiss.fvec_L2sqr_by_idx if distance == "l2" else faiss.fvec_inner_products_by_idx
    pointer = faiss.swig_ptr
    kernel(pointer(found), pointer(queries), pointer(vectors), pointer(rows), vectors.shape[1], *rows.shape)
    return _as_distances(found, distance)


def nearest(rows: Rows, distances: Vectors, k: int) -> tuple[Rows, Vectors]:
    """The `k` rows with the least distances, nearest first, the lower row first where they are equal."""
    if len(rows) > 4 * k:
        ranked = distances.copy()
        ranked.partition(k - 1)
        near = (distances <= ranked[k - 1]).nonzero()[0]
        rows, distances = rows[near], distances[near]
    order = distances.argsort()
    near = distances[order[: k + 1]]
    if np.count_nonzero(near[1:] == near[:-1]):  # of equal distances the lower row must come first
        order = np.lexsort((rows, distances))
    order = order[:k]
    return rows[order], distances[order]


def nearest_of_each(rows: Rows, distances: Vectors, k: int) -> tuple[Rows, Vectors]:
    """The same for some queries: (m, k) of rows and distances (m, c), c at least k."""
    order = distances.argsort(axis=1)[:, : k + 1]
    order += np.arange(0, distances.size, distances.shape[1])[:, None]
    near, near_rows = distances.take(order), rows.take(order[:, :k])
    is_equal = near[:, 1:] == near[:, :-1]
    if np.count_nonzero(is_equal):
        for n in is_equal.any(axis=1).nonzero()[0].tolist():
            near_rows[n], near[n, :k] = nearest(rows[n], distances[n], k)
    return near_rows, near[:, :k]


def _as_distances(values: Vectors, distance: Distance) -> Vectors:
    if distance == "l2":
        return values
    if distance == "dot":
        return np.negative(values, out=values)
    np.subtract(_ONE, values, out=values)
    # By rounding, the cosine of equal directions may exceed 1.
    return np.maximum(values, _ZERO, out=values)
