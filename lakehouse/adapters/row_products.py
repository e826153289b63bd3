"""Products of a few queries and many contiguous rows, in blocks small enough for BLAS to multiply without packing.

For a larger product OpenBLAS first copies the rows into an order of its own (packing), which takes several times as
long as multiplying them by two to eight queries. A small block also stays in the cache for all queries. OpenBLAS has
kernels for small products on processors with AVX-512 alone; elsewhere every block is packed, and one product is faster.

Belongs here: `products_of_all`. Not here: rows that are picked (see faiss_kernels.py), short ones (see
short_vectors.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
# The largest result for which OpenBLAS uses its kernels for small products.
_MOST_AT_ONCE = 1_024
# What NumPy calls AVX-512 in its list of what the processor has, before and since version 2.4.
_AVX_512 = frozenset({"AVX512_SKX", "X86_V4"})
# From so many queries on packing pays.
_MANY_QUERIES = 32


def _has_small_kernels() -> bool:
    """Whether the processor is one for which OpenBLAS has kernels for small products."""
    extensions = np.show_config(mode="dicts").get("SIMD Extensions", {})  # lists that are empty are left out
    return not _AVX_512.isdisjoint(extensions.get("found", ()))


_HAS_SMALL_KERNELS = _has_small_kernels()


def products_of_all(vectors: Vectors, queries: Vectors) -> Vectors:
    """The product of every query and every row.

    Args:
        vectors: (n, d), contiguous.
        queries: (m, d), contiguous.

    Returns:
        (m, n).
    """
    columns, count = vectors.T, len(vectors)
    rows = _MOST_AT_ONCE // max(1, len(queries))
    if not _HAS_SMALL_KERNELS or len(queries) >= _MANY_QUERIES or rows >= count or rows < 1:
        products: Vectors = queries @ columns
        return products
    products = np.empty((len(queries), count), np.float32)
    for start in range(0, count, rows):
        block = slice(start, start + rows)
        np.matmul(queries, columns[:, block], out=products[:, block])
    return products
