"""Fusion: a sum of scores that candidates alone decide, ranks for the rest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.retrieval.fusion import across_corpora, fuse, fuse_ranks

SCORES = st.lists(st.tuples(st.floats(-1, 1, width=32), st.floats(0, 50, width=32)), min_size=1, max_size=40)


def test_each_score_is_divided_by_the_best_of_the_candidates() -> None:
    got = fuse(np.float32([0.8, 0.4, -0.2]), np.float32([5, 10, 0]), weight=0.25)
    assert got.tolist() == pytest.approx([0.75 + 0.125, 0.375 + 0.25, 0])


@given(SCORES, st.floats(0, 1))
def test_scores_lie_from_zero_to_one_and_the_ends_are_the_single_lists(
    rows: list[tuple[float, float]], weight: float
) -> None:
    similarity, text = (np.array(column, np.float32) for column in zip(*rows, strict=True))
    fused = fuse(similarity, text, weight=weight)
    assert ((fused >= 0) & (fused <= 1 + 1e-6)).all()
    if similarity.max() > 0.01:
        assert np.argmax(fuse(similarity, text, weight=0)) == np.argmax(similarity)


@given(SCORES, st.integers(1, 10), st.floats(0, 1))
def test_best_of_the_candidates_are_the_best_of_all(rows: list[tuple[float, float]], n: int, weight: float) -> None:
    similarity, text = (np.array(column, np.float32) for column in zip(*rows, strict=True))
    whole = fuse(similarity, text, weight=weight)
    heads = np.union1d(np.argsort(-similarity, kind="stable")[:n], np.argsort(-text, kind="stable")[:n])
    parts = fuse(similarity[heads], text[heads], weight=weight)
    # The same scores, whatever else was there; a row outside is below what both heads promise.
    assert parts.tolist() == whole[heads].tolist()


def test_no_text_and_no_candidates_are_taken() -> None:
    assert fuse(np.float32([0.5, 0.25]), np.float32([0, 0]), weight=0.3).tolist() == pytest.approx([0.7, 0.35])
    assert fuse(np.float32([]), np.float32([]), weight=0.3).tolist() == []


def test_ranks_are_summed_as_reciprocals() -> None:
    got = fuse_ranks(np.float32([3, 2, 1]), np.float32([1, 2, 3]), k=60)
    assert got.tolist() == pytest.approx([1 / 61 + 1 / 63, 2 / 62, 1 / 61 + 1 / 63])


def test_corpus_with_nearer_rows_comes_first_and_keeps_its_order() -> None:
    fused = np.float32([1, 0.6])
    near, far = (across_corpora(fused, np.float32([best, 0.1])) for best in (0.8, 0.4))
    assert near.tolist() == pytest.approx([0.64, 0.384])
    assert near.min() > far.max()
    assert across_corpora(fused[:0], fused[:0]).tolist() == []
