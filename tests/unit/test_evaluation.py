"""Measures of rankings against values worked out by hand, and intervals that repeat and cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import BadInput
from lakehouse.retrieval.evaluation import Interval, bootstrap, ndcg, paired_bootstrap, recall, top_1

IDS = st.lists(st.integers(0, 30), max_size=15, unique=True)


def test_ndcg_is_what_one_works_out_by_hand() -> None:
    gains = {"a": 3.0, "b": 2.0, "c": 1.0}
    got = 2 / math.log2(2) + 1 / math.log2(4)
    ideal = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    assert ndcg(["b", "x", "c"], gains) == pytest.approx(got / ideal)
    assert ndcg(["x", "a"], {"a": 1.0}, k=1) == 0
    assert ndcg([], gains) == ndcg(["a"], {}) == 0


def test_an_id_that_comes_twice_counts_once() -> None:
    assert ndcg(["a", "a", "b"], {"a": 1.0, "b": 1.0}) == 1


@given(IDS, IDS)
def test_measures_lie_between_none_and_all(ranked: list[int], relevant: list[int]) -> None:
    gains = dict.fromkeys(relevant, 1.0)
    assert 0 <= ndcg(ranked, gains) <= 1
    assert 0 <= recall(ranked, relevant) <= 1
    if relevant:
        assert ndcg(relevant, gains) == pytest.approx(1)
        assert recall(relevant, relevant, k=30) == 1
        assert top_1(relevant, relevant) == 1
    assert top_1([], relevant) == 0


def test_interval_repeats_and_holds_the_mean() -> None:
    values = np.random.default_rng(1).random(200)
    interval = bootstrap(values, seed=3)
    assert interval == bootstrap(values, seed=3)
    assert interval != bootstrap(values, seed=4)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low < interval.mean < interval.high
    # The interval of a mean by the normal approximation.
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.1)


def test_paired_interval_sees_a_small_difference_between_noisy_arms() -> None:
    noise = np.random.default_rng(2).random(300)
    interval = paired_bootstrap(noise + 0.01, noise, seed=0)
    assert interval.excludes_zero
    assert interval.mean == pytest.approx(0.01)
    assert not paired_bootstrap(noise, noise[::-1], seed=0).excludes_zero
    assert Interval(-0.2, -0.3, -0.1).excludes_zero


def test_nothing_and_unequal_arms_are_refused() -> None:
    with pytest.raises(BadInput, match="at least one value"):
        bootstrap([], seed=0)
    with pytest.raises(BadInput, match="3 and 2"):
        paired_bootstrap([1, 2, 3], [1, 2], seed=0)
