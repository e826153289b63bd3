"""Searching codes for several queries in one call, so that the costs around the engine's work are paid once for all.

A query that needs more lists than were scanned at first is searched by itself: one in fifty.

Belongs here: `search_together`. Not here: the search of one query and what its steps mean (see codes_search.py), who
comes together (see gathered_searches.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.codes_search import ROOM, closeness_of, search_codes
from lakehouse.adapters.faiss_codes import Codes
from lakehouse.adapters.faiss_kernels import nearest, nearest_of_each, row_distances_of_each
from lakehouse.adapters.short_vectors import ShortVectors

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
# Within a distance lists are scanned at once up to so many times those about the nearest centroid.
_AT_ONCE = 2


def search_together(
    codes: Codes, vectors: Vectors | ShortVectors, queries: Vectors, k: int, *, max_distance: float = np.inf
) -> list[tuple[Rows, Vectors]]:
    """The nearest rows of each query and their exact distances, nearest first.

    Args:
        codes: Of all rows of `vectors`.
        vectors: (n, d), as they are compared.
        queries: (m, d), likewise.
        k: How many are wanted, 1 to n.
        max_distance: Rows farther away than this are not wanted, and do not come.
    """
    wanted = codes.width.candidates_for(k)
    farness = -codes.closeness_of_each(queries)
    order = farness.argsort(axis=1)
    farness.sort(axis=1)
    scales = np.linalg.norm(queries, axis=1) if codes.distance == "dot" else np.float32(1)
    first = _within(farness, farness[:, 0] + scales * np.float32(codes.width.gap))
    most = None
    if max_distance < np.inf:
        limit = closeness_of(max_distance, codes.distance)
        most = _within(farness, np.full(len(queries), scales * codes.width.reach - limit, np.float32))
        # With a maximum distance few lists qualify, and all of these are scanned in the end: one scan is cheaper than
        # two.
        first = np.where(most <= _AT_ONCE * first, most, first)
    first = np.maximum(first, min(codes.lists, 1 + int(ROOM * wanted * codes.lists / codes.end)))
    lists = np.ascontiguousarray(order[:, : first.max()])
    lists[np.arange(lists.shape[1]) >= first[:, None]] = -1
    rows = codes.scan_each(queries, lists, wanted)
    distances = row_distances_of_each(vectors, queries, rows, codes.distance)
    near_rows, near = nearest_of_each(rows, distances, k)
    answers = list(zip(near_rows, near, strict=True))
    needed = _within(farness, scales * np.float32(codes.width.reach) - closeness_of(near[:, -1], codes.distance))
    needed[rows[:, k - 1] < 0] = codes.lists
    if most is not None:
        needed = np.minimum(needed, most)
    for n in (needed > first).nonzero()[0].tolist():
        answers[n] = nearest(*search_codes(codes, vectors, queries[n], k, max_distance=max_distance), k)
    if most is not None:
        ends = [int(close.searchsorted(np.float32(max_distance), side="right")) for _, close in answers]
        return [(some[:end], close[:end]) for end, (some, close) in zip(ends, answers, strict=True)]
    return answers


def _within(farness: Vectors, most: Vectors) -> NDArray[np.int64]:
    """How many of the lists are at most so far, for each query."""
    counts: NDArray[np.int64] = (farness <= most[:, None]).sum(axis=1)
    return counts
