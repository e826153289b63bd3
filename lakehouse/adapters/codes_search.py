"""Searching by codes: scan the lists nearest to a query, then those that may hold better rows, then compare exactly.

How many lists a query needs depends on the query: one inside a cluster needs a handful, one that is far from
everything, or whose filter keeps only distant rows, needs many. So the lists around the nearest centroid are scanned
first. The k-th result then tells how near a row must be to matter, and every other list whose centroid is near enough
to hold such rows is scanned, too. Both margins are measured (see codes_probe.py).

Belongs here: which lists, which candidates. Not here: codes (see faiss_codes.py), rows without codes
(see hot_search.py).
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.faiss_codes import Codes
from lakehouse.adapters.faiss_kernels import row_distances
from lakehouse.adapters.short_vectors import ShortVectors
from lakehouse.retrieval.row_batch import Distance

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
_Values = TypeVar("_Values", float, NDArray[np.float32])
# The first lists hold so many times the rows that are wanted from them.
ROOM = 2


def search_codes(
    codes: Codes,
    vectors: Vectors | ShortVectors,
    query: Vectors,
    k: int,
    *,
    selector: Any = None,
    share: float = 1.0,
    max_distance: float = np.inf,
) -> tuple[Rows, Vectors]:
    """Rows near a query with their exact distances: almost surely the nearest k, and some others.

    Args:
        codes: Of the first rows of `vectors`.
        vectors: (n, d), as they are compared.
        query: (d,), likewise.
        k: How many are wanted, 1 or more.
        selector: From `faiss_codes.selector_of`: rows that may come.
        share: Of the rows that may.
        max_distance: Rows farther away than this are not wanted; the lists that have no others are not scanned.

    Returns:
        Rows and distances in no order; fewer than k only where fewer may come, or are wanted.
    """
    wanted = codes.width.candidates_for(k)
    farness = -codes.closeness(query)
    order = farness.argsort()
    farness = farness[order]
    scale = float(np.linalg.norm(query)) if codes.distance == "dot" else 1.0
    most = codes.lists
    if max_distance < np.inf:
        most = _within(farness, scale * codes.width.reach - closeness_of(max_distance, codes.distance))
    first = min(most, _within(farness, float(farness[0]) + scale * codes.width.gap))
    first = max(first, min(codes.lists, 1 + int(ROOM * wanted * codes.lists / (codes.end * share))))
    rows, looks = codes.scan(query, order[:first], wanted, selector=selector)
    distances = row_distances(vectors, query, rows, codes.distance)
    needed = most
    if len(rows) >= k:
        ranked = distances.copy()
        ranked.partition(k - 1)
        last = closeness_of(float(ranked[k - 1]), codes.distance)
        needed = min(most, _within(farness, scale * codes.width.reach - last))
    if needed <= first:
        return rows, distances
    more, more_looks = codes.scan(query, order[first:needed], wanted, selector=selector)
    if len(rows) == wanted:
        more = more[more_looks < looks[-1]]
    more_distances = row_distances(vectors, query, more, codes.distance)
    return np.concatenate([rows, more]), np.concatenate([distances, more_distances])


def _within(farness: Vectors, most: float) -> int:
    """How many of the lists, closest first, are at most so far."""
    return int(farness.searchsorted(np.float32(most), side="right"))


def closeness_of(distance: _Values, kind: Distance) -> _Values:
    """A distance, or some, on the scale of `Codes.closeness`."""
    if kind == "l2":
        return cast("_Values", -(distance**0.5))
    return 1 - distance if kind == "cosine" else -distance
