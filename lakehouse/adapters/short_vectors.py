"""Vectors of length 1 as 16-bit integers; the product of two such vectors is off by 0.0001 at most.

numpy's float16 would be as exact, but twenty times as slow to compare: integers are converted to floats with SIMD,
eight at a time.

Belongs here: making them short and long again, comparing some of them with a query. Not here: who keeps them so (see
entry_rows.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
ShortVectors = NDArray[np.int16]
Rows = NDArray[np.int64]
_STEPS = np.float32(32_767)


def shortened(vectors: Vectors) -> ShortVectors:
    """Vectors with values from -1 to 1 in half the memory; values beyond are held to that."""
    steps = np.rint(vectors * _STEPS)
    return np.asarray(np.clip(steps, -_STEPS, _STEPS, out=steps), np.int16)


def lengthened(vectors: Vectors | ShortVectors) -> Vectors:
    """Vectors as they are calculated with, of either kind."""
    if vectors.dtype != np.int16:
        return np.asarray(vectors, np.float32)
    long = vectors.astype(np.float32)
    long /= _STEPS
    return long


def products_of_each(vectors: Vectors | ShortVectors, queries: Vectors, rows: Rows) -> Vectors:
    """The products of queries (m, d) and some short rows of each (m, c): (m, c), minus infinity for row -1."""
    products = np.empty(rows.shape, np.float32)
    for n, query in enumerate(queries):  # one query at a time, so that its picked rows stay in the cache
        products[n] = products_of(vectors, query, rows[n])
    products[rows < 0] = -np.inf
    return products


def products_of(vectors: Vectors | ShortVectors, query: Vectors, rows: Rows) -> Vectors:
    """The products of a query (d,) and some short rows; -1 is the last."""
    products: Vectors = vectors.take(rows, axis=0).astype(np.float32) @ (query / _STEPS)
    return products
