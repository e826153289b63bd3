"""Entries within a distance: heads rule out most entries, and the rest are compared exactly.

A head is less than half of a vector, and about one entry in a hundred is left to be compared. All entries that are near
enough are found, whereas codes miss some.

Belongs here: `search_within`. Not here: heads (see product_bounds.py), searches that heads do not narrow down (see
hot_search_together.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.faiss_kernels import nearest, row_distances
from lakehouse.adapters.product_bounds import heads_of
from lakehouse.adapters.row_products import products_of_all
from lakehouse.retrieval.selection import Selection

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
# The largest rounding error of a product of heads, or of vectors of length 1.
_ROUNDING = np.float32(1e-4)
# When a larger share of the rows may be near, heads save nothing; among few rows all may be.
_MOST_SHARE = 0.05
_FEW = 64


def search_within(
    selection: Selection, queries: Vectors, k: int, max_distance: float
) -> list[tuple[Rows, Vectors]] | None:
    """The nearest selected rows within a distance of each query, and none that is missed.

    Args:
        selection: Of `EntryRows`.
        queries: Of length 1, (m, d).
        k: How many, 1 or more.
        max_distance: A cosine distance.

    Returns:
        For each query rows counted from 0 and their distances, nearest first, some a little farther away; None where
        the rows have no heads, or too many would have to be looked at.
    """
    rows, end = selection.source, selection.end
    kept = rows.heads  # read once: it has at least the selected rows, whatever is appended meanwhile
    if kept is None or max_distance >= 1:
        return None
    axes, heads = kept
    bounds = products_of_all(heads.view(0, end), heads_of(queries, axes))
    places = (bounds.ravel() >= np.float32(1 - max_distance) - _ROUNDING).nonzero()[0]
    if len(places) > (_FEW + _MOST_SHARE * end) * len(queries):
        return None
    vectors, mask = rows.vectors.view(0, end), None if selection.is_all else selection.mask()
    answers, first = [], 0
    ends = places.searchsorted(np.arange(1, len(queries) + 1) * end).tolist()
    for n, (query, last) in enumerate(zip(queries, ends, strict=True)):
        near = places[first:last] - n * end
        near, first = near if mask is None else near[mask[near]], last
        answers.append(nearest(near, row_distances(vectors, query, near, "cosine"), k))
    return answers
