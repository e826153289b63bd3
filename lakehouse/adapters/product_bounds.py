"""An upper bound of the product of a query and a row, computed from a part of their values.

Vectors are rotated so that the directions in which they differ most come first. The head of a vector is its values
along these directions, and the length of the rest. The product of two heads is at least the product of the vectors
(Cauchy-Schwarz), and equal to it when the rests point the same way. Rows whose bound is too small are not compared.

Belongs here: directions, heads. Not here: who keeps them (see entry_rows.py), searching by them (see
entry_search.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.short_vectors import ShortVectors, lengthened

Vectors = NDArray[np.float32]
# With the length of what is left 96 values, a whole number of the registers that multiply them. Of 256 static values
# nine tenths of what tells vectors apart; one row in a hundred passes that is not near.
AXES = 95
_MOST_LEARNED = 8_192
# All directions are found up to this dimension: of 1536 that takes five seconds, in which entries cannot be written.
_MOST_EXACT = 512
_ROUNDS = 3
_SEED = 5
# The largest rounding error of the squared length of the rest, which is a difference of two sums.
_ROUNDING = np.float32(4e-6)


def leading_axes(vectors: Vectors | ShortVectors) -> Vectors:
    """The directions along which vectors (n, d) are longest, taken together: (d, 95), orthonormal.

    Of many vectors some are looked at; of long ones the directions are nearly those (a thousandth of the length less).

    Source: Halko, Martinsson and Tropp 2011, Finding structure with randomness, algorithm 4.4 (of long ones).
    """
    draw = np.random.default_rng(_SEED)
    if len(vectors) > _MOST_LEARNED:
        vectors = vectors[np.sort(draw.choice(len(vectors), _MOST_LEARNED, replace=False))]
    long = lengthened(vectors)
    if long.shape[1] > _MOST_EXACT:
        axes = draw.standard_normal((long.shape[1], AXES), np.float32)
        for _ in range(_ROUNDS):
            axes, _ = np.linalg.qr(long.T @ (long @ axes))
        return np.ascontiguousarray(axes)
    _, directions = np.linalg.eigh(long.T @ long)  # in ascending order of their eigenvalues
    return np.ascontiguousarray(directions[:, ::-1][:, :AXES], np.float32)


def heads_of(vectors: Vectors, axes: Vectors) -> Vectors:
    """The heads of vectors (n, d) along some axes (d, a): (n, a + 1)."""
    heads = np.empty((len(vectors), axes.shape[1] + 1), np.float32)
    along, left = heads[:, :-1], heads[:, -1]
    np.matmul(vectors, axes, out=along)
    squares = np.vecdot(vectors, vectors) - np.vecdot(along, along)
    np.sqrt(np.maximum(squares, np.float32(0)) + _ROUNDING, out=left)
    return heads
