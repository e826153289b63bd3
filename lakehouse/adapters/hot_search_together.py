"""Several queries over the same rows of a hot index in one call: codes are scanned and rows multiplied for all at once.

Rows that are deleted are searched with the others and dropped afterwards. A query that is left with too few results is
searched by itself.

Belongs here: `search_rows_of_each`, when it is worth it. Not here: one query (see hot_search.py), scanning (see
codes_together.py), who comes together (see gathered_searches.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.codes_together import search_together
from lakehouse.adapters.faiss_kernels import nearest, row_distances_of_each
from lakehouse.adapters.hot_search import is_worth_codes, search_rows
from lakehouse.adapters.row_products import products_of_all
from lakehouse.retrieval.row_batch import Distance
from lakehouse.retrieval.selection import Selection

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
Found = tuple[Rows, Vectors]
# Least share of the rows that must be selected.
_LEAST_SHARE = 0.5
# Rows that are searched beyond those wanted and the deleted share, in case more are deleted near the query.
_SPARE = 8
# Most products of queries and rows that are compared one by one, at four bytes each.
_MOST_PRODUCTS = 4 << 20


def is_gatherable(selection: Selection) -> bool:
    """Whether most rows are meant, so that searches of the selection have their work in common."""
    return len(selection) >= _LEAST_SHARE * selection.end > 0


def search_rows_of_each(
    selection: Selection, queries: Vectors, k: int, distance: Distance, *, max_distance: float = np.inf
) -> list[Found]:
    """The same as `search_rows` for each of some queries.

    Args:
        selection: Of a `HotRows`.
        queries: As they are compared, (m, d).
        k: How many, 1 or more.
        distance: Of the index.
        max_distance: Rows farther away than this are not wanted, and need not come.

    Returns:
        For each query rows counted from 0 and their distances, nearest first.
    """
    rows, k = selection.source, min(k, len(selection))
    codes = rows.codes
    is_coded = codes is not None and codes.end <= selection.end and is_worth_codes(codes, selection, k)
    start = codes.end if is_coded else 0
    fresh = selection.end - start
    is_product = distance != "l2" and fresh * len(queries) <= _MOST_PRODUCTS
    if k < 1 or len(queries) < 2 or not is_gatherable(selection) or not (is_product or fresh == 0):
        return [search_rows(selection, query, k, distance, max_distance=max_distance) for query in queries]
    wanted = k if selection.is_all else min(k * selection.end // len(selection) + _SPARE, selection.end)
    vectors = rows.vectors.view(0, selection.end)
    parts: list[list[Found]] = []
    if is_coded and wanted <= codes.end:
        parts.append(search_together(codes, vectors, queries, wanted, max_distance=max_distance))
    elif is_coded:
        return [search_rows(selection, query, k, distance, max_distance=max_distance) for query in queries]
    if fresh:
        parts.append(_compared(selection, start, queries, wanted, distance))
    found = parts[0] if len(parts) == 1 else [_joined(*both) for both in zip(*parts, strict=True)]
    answers = []
    for query, one in zip(queries, found, strict=True):
        near, distances = one if selection.is_all else _living(selection, one)
        # When fewer came than were asked for, no others are near enough.
        if len(near) < k and (max_distance == np.inf or len(one[0]) >= wanted):
            answers.append(search_rows(selection, query, k, distance, max_distance=max_distance))
        elif len(parts) == 1:
            answers.append((near[:k], distances[:k]))
        else:
            answers.append(nearest(near, distances, k))
    return answers


def _living(selection: Selection, found: Found) -> Found:
    is_there = selection.mask()[found[0]]
    return found[0][is_there], found[1][is_there]


def _compared(selection: Selection, start: int, queries: Vectors, k: int, distance: Distance) -> list[Found]:
    """The nearest of the rows from `start` on: all by their products, then the best by their exact distances."""
    vectors = selection.source.vectors.view(0, selection.end)
    products = products_of_all(selection.source.span(start, selection.end), queries)
    count = products.shape[1]
    take = min(k + _SPARE, count)
    rows = products.argpartition(count - take, axis=1)[:, count - take :] + start
    distances = row_distances_of_each(vectors, queries, rows, distance)
    return [nearest(*pair, k) for pair in zip(rows, distances, strict=True)]


def _joined(one: Found, other: Found) -> Found:
    return np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1]])
