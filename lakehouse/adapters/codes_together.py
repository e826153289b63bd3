"""Searching codes for several queries in one go: what a search costs beside the engine's work is paid once for all.

A query that needs more lists than were scanned at first is searched by itself: one in fifty.

Belongs here: `search_together`. Not here: the search of one query and what its steps mean (see codes_search.py), who
comes together (see gathered_searches.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.codes_search import ROOM, closeness_of, search_codes
from lakehouse.adapters.faiss_codes import Codes
from lakehouse.adapters.faiss_kernels import nearest, row_distances_of_each
from lakehouse.adapters.short_vectors import ShortVectors

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]


def search_together(
    codes: Codes, vectors: Vectors | ShortVectors, queries: Vectors, k: int
) -> list[tuple[Rows, Vectors]]:
    """The nearest rows of each query and their exact distances, nearest first.

    Args:
        codes: Of all rows of `vectors`.
        vectors: (n, d), as they are compared.
        queries: (m, d), likewise.
        k: How many are wanted, 1 to n.
    """
    wanted = codes.width.candidates_for(k)
    farness = -codes.closeness_of_each(queries)
    order = farness.argsort(axis=1)
    farness = np.take_along_axis(farness, order, axis=1)
    scales = np.ones(len(queries), np.float32)
    if codes.distance == "dot":
        scales = np.linalg.norm(queries, axis=1)
    first = _within(farness, farness[:, 0] + scales * np.float32(codes.width.gap))
    first = np.maximum(first, min(codes.lists, 1 + int(ROOM * wanted * codes.lists / codes.end)))
    lists = np.ascontiguousarray(order[:, : first.max()])
    lists[np.arange(lists.shape[1]) >= first[:, None]] = -1
    rows = codes.scan_each(queries, lists, wanted)
    distances = row_distances_of_each(vectors, queries, rows, codes.distance)
    found_rows, found_distances = _nearest_of_each(rows, distances, k)
    edges = found_distances[:, -1]
    needed = _within(farness, scales * np.float32(codes.width.reach) - closeness_of(edges, codes.distance))
    needed[rows[:, k - 1] < 0] = codes.lists
    is_tied = np.count_nonzero(distances <= edges[:, None], axis=1) > k  # which of the equal ones is not arbitrary
    answers = []
    for n, query in enumerate(queries):
        if needed[n] > first[n]:
            answers.append(nearest(*search_codes(codes, vectors, query, k), k))
        elif is_tied[n]:
            answers.append(nearest(rows[n], distances[n], k))
        else:
            answers.append((found_rows[n], found_distances[n]))
    return answers


def _nearest_of_each(rows: Rows, distances: Vectors, k: int) -> tuple[Rows, Vectors]:
    """The k nearest rows of each query, nearest first."""
    near = np.argpartition(distances, k - 1, axis=1)[:, :k]
    rows, distances = np.take_along_axis(rows, near, axis=1), np.take_along_axis(distances, near, axis=1)
    order = np.lexsort((rows, distances))
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)


def _within(farness: Vectors, most: Vectors) -> NDArray[np.int64]:
    """How many of the lists, closest first, are at most so far, for each query."""
    counts: NDArray[np.int64] = np.count_nonzero(farness <= most[:, None], axis=1)
    return counts
