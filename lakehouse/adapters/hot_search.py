"""Searching the rows of a hot index: exactly, or by codes with exact distances for the best of them.

Few rows, and rows that have no codes yet, are compared one by one; otherwise codes give candidates among the selected
rows. Whenever k rows are selected, k come back.

Belongs here: which way, and putting the parts together. Not here: codes (see codes_search.py), rows (see hot_rows.py),
several queries at once (see hot_search_together.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.codes_search import search_codes
from lakehouse.adapters.faiss_codes import Codes, selector_of
from lakehouse.adapters.faiss_kernels import nearest, row_distances, span_distances
from lakehouse.adapters.hot_rows import HotRows
from lakehouse.retrieval.row_batch import Distance
from lakehouse.retrieval.selection import Selection

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
# Comparing one picked row costs as much as scanning the codes of so many rows.
_PICK_COST = 32
_EXACT_ROWS = 2_000
# From this share of the rows on, comparing all rows in order is no slower than picking the selected ones.
_DENSE = 0.25


def search_rows(
    selection: Selection, query: Vectors, k: int, distance: Distance, *, max_distance: float = np.inf
) -> tuple[Rows, Vectors]:
    """The nearest selected rows.

    Args:
        selection: Of a `HotRows`.
        query: As it is compared, (d,).
        k: How many, 1 or more.
        distance: Of the index.
        max_distance: Rows farther away than this are not wanted, and need not come.

    Returns:
        Rows counted from 0 and their distances, nearest first; k of them, or all that are selected.
    """
    rows: HotRows = selection.source
    k = min(k, len(selection))
    if k < 1:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    if selection.base is not None:
        wider = k + len(selection.left_out)
        both = search_rows(selection.base, query, wider, distance, max_distance=max_distance)
        return without_left_out(both, selection.left_out, k)
    codes = rows.codes
    if codes is None or not is_worth_codes(codes, selection, k):
        return nearest(*_all(selection, query, distance), k)
    vectors = rows.vectors.view()
    found, distances = _coded(codes, selection, query, k, max_distance)
    if (tail := selection.end - codes.end) > 0:
        fresh = _tail(selection, codes.end, tail)
        found = np.concatenate([found, fresh])
        distances = np.concatenate([distances, row_distances(vectors, query, fresh, distance)])
    return nearest(found, distances, k)


def without_left_out(found: tuple[Rows, Vectors], left_out: Rows, k: int) -> tuple[Rows, Vectors]:
    """The first `k` of what was found without the rows of `left_out`, for which as many more had been looked for."""
    rows, distances = found
    is_meant = (rows[:, None] != left_out).all(axis=1)
    return rows[is_meant][:k], distances[is_meant][:k]


def is_worth_codes(codes: Codes, selection: Selection, k: int) -> bool:
    """Whether the codes are good enough, and cheaper than all selected rows one by one."""
    picked = codes.width.candidates_for(k)
    cost = max(_EXACT_ROWS, selection.end // _PICK_COST) + picked
    return len(selection) > cost and codes.width.is_good


def _all(selection: Selection, query: Vectors, distance: Distance) -> tuple[Rows, Vectors]:
    rows: HotRows = selection.source
    vectors = rows.vectors.view(0, selection.end)
    if len(selection) < _DENSE * selection.end:
        picked = selection.rows()
        return picked, row_distances(vectors, query, picked, distance)
    distances = span_distances(rows.span(0, selection.end), query, distance)
    if selection.is_all:
        return np.arange(selection.end), distances
    return selection.rows(), distances[selection.mask()]


def _coded(codes: Codes, selection: Selection, query: Vectors, k: int, max_distance: float) -> tuple[Rows, Vectors]:
    """Selected rows near the query among those that have codes: k of them where there are so many."""
    vectors = selection.source.vectors.view()
    if selection.is_all and codes.end <= selection.end:
        return search_codes(codes, vectors, query, k, max_distance=max_distance)
    if selection.kept is None:
        selection.kept = selector_of(selection.mask())
    share = len(selection) / selection.end
    return search_codes(codes, vectors, query, k, selector=selection.kept, share=share, max_distance=max_distance)


def _tail(selection: Selection, start: int, count: int) -> Rows:
    """Selected rows that have no code yet."""
    if selection.is_all:
        return np.arange(start, start + count)
    return start + np.flatnonzero(selection.mask()[start:])
