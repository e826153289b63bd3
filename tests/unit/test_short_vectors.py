"""Vectors in two bytes a value: long again they are nearly what they were, and so are their products."""

from __future__ import annotations

import numpy as np
import pytest

from lakehouse.adapters.faiss_kernels import row_distances, row_distances_of_each
from lakehouse.adapters.short_vectors import lengthened, products_of_each, shortened

DRAW = np.random.default_rng(5)
DRAWN = DRAW.normal(size=(500, 256)).astype(np.float32)
VECTORS = np.asarray(DRAWN / np.linalg.norm(DRAWN, axis=1, keepdims=True), np.float32)


def test_vectors_are_nearly_what_they_were_and_long_ones_stay() -> None:
    assert np.abs(lengthened(shortened(VECTORS)) - VECTORS).max() < 2e-5
    assert lengthened(VECTORS) is VECTORS
    assert lengthened(shortened(np.array([[1.5, -1.5, 0.0]], np.float32))).tolist() == [[1.0, -1.0, 0.0]]


def test_products_are_off_by_a_ten_thousandth_at_most() -> None:
    rows = DRAW.integers(0, 500, (7, 40))
    got = products_of_each(shortened(VECTORS), VECTORS[:7], rows)
    assert np.abs(got - np.einsum("mcd,md->mc", VECTORS[rows], VECTORS[:7])).max() < 1e-4


def test_distances_of_short_vectors_are_those_of_long_ones() -> None:
    rows = np.array([[0, 3, -1], [499, -1, 1]])
    got = row_distances_of_each(shortened(VECTORS), VECTORS[:2], rows, "cosine")
    wanted = row_distances_of_each(VECTORS, VECTORS[:2], rows, "cosine")
    assert np.isinf(got).tolist() == np.isinf(wanted).tolist() == (rows < 0).tolist()
    assert got[rows >= 0] == pytest.approx(wanted[rows >= 0], abs=1e-4)
    one = row_distances(shortened(VECTORS), VECTORS[0], rows[0, :2], "cosine")
    assert one == pytest.approx(got[0, :2], abs=1e-6)
