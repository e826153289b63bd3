"""Products in blocks are those of one product, whatever the numbers of rows and queries."""

from __future__ import annotations

import numpy as np
import pytest

from lakehouse.adapters import row_products
from lakehouse.adapters.row_products import products_of_all

DRAW = np.random.default_rng(4)


@pytest.mark.parametrize("has_kernels", [True, False])
@pytest.mark.parametrize("rows", [0, 1, 63, 1_024, 1_025, 3_000])
@pytest.mark.parametrize("queries", [1, 2, 3, 8, 31, 40])
def test_products_are_those_of_the_whole_matrix(
    rows: int, queries: int, has_kernels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_products, "_HAS_SMALL_KERNELS", has_kernels)
    vectors = DRAW.standard_normal((rows, 48)).astype(np.float32)
    asked = DRAW.standard_normal((queries, 48)).astype(np.float32)
    got = products_of_all(vectors, asked)
    assert got.shape == (queries, rows)
    assert got == pytest.approx(asked @ vectors.T, abs=1e-4)
