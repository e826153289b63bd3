"""Numbers without repetition: the same that NumPy gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.distinct import distinct


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3)))
def test_numbers_are_those_that_numpy_gives(numbers: list[int]) -> None:
    given_numbers = np.array(numbers, np.int64)
    found = distinct(given_numbers)
    assert found.dtype == np.int64
    assert found.tolist() == np.unique(given_numbers).tolist()
    assert given_numbers.tolist() == numbers  # left as they were


@pytest.mark.parametrize("dtype", [np.int32, np.uint64])
def test_numbers_keep_their_type(dtype: type[np.integer]) -> None:
    found = distinct(np.array([3, 1, 3], dtype))
    assert found.dtype == dtype
    assert found.tolist() == [1, 3]
