"""The nearest of some rows: by distance, of equal ones the lower row first, for one query as for several."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from lakehouse.adapters.faiss_kernels import nearest, nearest_of_each


@given(st.data())
def test_of_equal_rows_the_lower_comes_first(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 60))
    k = data.draw(st.integers(1, count))
    several = data.draw(st.integers(1, 4))
    # Few values: many are equal, at the edge of the k nearest too; as far as can be where there is no row.
    values = st.sampled_from([-2.0, -0.0, 0.0, 0.5, 1.0, np.inf])
    row = st.lists(values, min_size=count, max_size=count)
    distances = np.array(data.draw(st.lists(row, min_size=several, max_size=several)), np.float32)
    rows = np.array([data.draw(st.permutations(range(count))) for _ in range(several)], np.int64)
    wanted = [sorted(zip(d, r, strict=True))[:k] for d, r in zip(distances.tolist(), rows.tolist(), strict=True)]
    near_rows, near = nearest_of_each(rows, distances, k)
    assert_array_equal(near_rows, [[row for _, row in one] for one in wanted])
    assert_array_equal(near, [[distance for distance, _ in one] for one in wanted])
    for n in range(several):
        alone_rows, alone = nearest(rows[n], distances[n], k)
        assert_array_equal(alone_rows, near_rows[n])
        assert_array_equal(alone, near[n])
