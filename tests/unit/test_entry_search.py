"""Entries within a distance, by their heads: all that brute force finds, and nothing else, as entries come and go."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from lakehouse.adapters import entry_rows
from lakehouse.adapters.entry_index import HotEntryIndex
from lakehouse.adapters.entry_search import search_within
from lakehouse.adapters.product_bounds import AXES, heads_of, leading_axes
from lakehouse.retrieval.playbook_index import Nearby
from tests.fakes.entry_index import FlatIndex

DIMENSION, FAR = 256, 0.35
Vectors = NDArray[np.float32]


def clustered(count: int, seed: int) -> Vectors:
    """Of length 1, in clusters that lie in some directions rather than in others, as embeddings do."""
    draw = np.random.default_rng(seed)
    widths = np.exp(-np.arange(DIMENSION) / 60)
    centres = np.random.default_rng(1).standard_normal((200, DIMENSION)) * widths
    drawn = centres[draw.integers(0, len(centres), count)] + 0.5 * draw.standard_normal((count, DIMENSION)) * widths
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def filled(count: int) -> tuple[HotEntryIndex, FlatIndex]:
    """The index and its model, written to by some hundred at a time."""
    index, model = HotEntryIndex(lambda: DIMENSION), FlatIndex()
    put(index, model, [f"p{n}" for n in range(count)], clustered(count, 2))
    return index, model


def put(index: HotEntryIndex, model: FlatIndex, ids: list[str], vectors: Vectors) -> None:
    for start in range(0, len(ids), 300):
        index.put(ids[start : start + 300], vectors[start : start + 300])
        model.put(ids[start : start + 300], vectors[start : start + 300])


def assert_same(index: HotEntryIndex, model: FlatIndex, *, k: int = 32, max_distance: float = FAR) -> None:
    queries = clustered(12, 3)
    alone = [index.nearest(query, k, max_distance) for query in queries]
    for got in (alone, asyncio.run(looked(index, queries, k, max_distance))):
        for query, near in zip(queries, got, strict=True):
            wanted = model.nearest(query, k, max_distance)
            assert near.distances == pytest.approx(wanted.distances, abs=1e-4)
            # In two bytes a value, those of nearly one distance may change places; the last may be another one.
            sure = [one for distance, one in zip(*wanted, strict=True) if distance < wanted.distances[-1] - 1e-4]
            assert set(sure) <= set(near.ids)
            assert near.ids[:1] == wanted.ids[:1]


async def looked(index: HotEntryIndex, queries: Vectors, k: int, max_distance: float) -> list[Nearby]:
    return list(await asyncio.gather(*[index.look(query, k, max_distance) for query in queries]))


def is_narrowed(index: HotEntryIndex, *, max_distance: float = FAR) -> bool:
    return search_within(index._selection(), clustered(5, 3), 32, max_distance) is not None


def test_the_product_of_heads_is_no_less_than_that_of_the_vectors() -> None:
    vectors, queries = clustered(3_000, 4), clustered(20, 5)
    axes = leading_axes(vectors)
    bounds, products = heads_of(queries, axes) @ heads_of(vectors, axes).T, queries @ vectors.T
    assert (bounds > products - 1e-5).all()
    # And not by much: it tells those that may be near from the others.
    assert np.count_nonzero(bounds > 1 - FAR) < 0.2 * bounds.size
    assert leading_axes(clustered(9_000, 6)).shape == axes.shape


@pytest.mark.parametrize("count", [511, 512, 3_000, 4_500])
def test_all_that_are_near_enough_are_found(count: int) -> None:
    index, model = filled(count)
    assert is_narrowed(index) == (count >= 512)
    assert_same(index, model)
    assert_same(index, model, k=3)
    assert_same(index, model, max_distance=0.1)


def test_entries_that_are_gone_are_not_found_and_written_ones_are() -> None:
    index, model = filled(2_000)
    gone = [f"p{n}" for n in range(0, 2_000, 3)]
    assert index.delete(gone) == model.delete(gone)
    put(index, model, [f"p{n}" for n in range(0, 2_000, 9)], clustered(223, 8))
    assert is_narrowed(index)
    assert_same(index, model)


def test_entries_keep_their_heads_when_those_that_are_gone_leave_and_codes_come() -> None:
    index, model = filled(8_000)
    index._upkeep.settle()
    gone = [f"p{n}" for n in range(0, 8_000, 3)]
    assert index.delete(gone) == model.delete(gone)
    index._upkeep.settle()
    assert index.generation.first > 0
    assert index.generation.codes is not None
    assert is_narrowed(index)
    assert_same(index, model)


def test_where_heads_tell_little_apart_entries_are_found_without_them() -> None:
    index, model = filled(2_000)
    for far in (0.9, 2.0):
        assert not is_narrowed(index, max_distance=far)
        assert_same(index, model, max_distance=far)


def test_of_many_entries_no_heads_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_rows, "_MOST_HEADED", 1_000)
    index, model = filled(1_100)
    assert index.generation.heads is None
    assert_same(index, model)


def test_more_near_entries_than_are_asked_for_are_ordered_by_their_distance() -> None:
    """Without heads: a product of every row, and more of them near enough than are looked at again."""
    index, model = filled(400)
    twins = clustered(1, 3).repeat(60, axis=0) + 0.01 * np.random.default_rng(9).standard_normal((60, DIMENSION))
    near = np.asarray(twins / np.linalg.norm(twins, axis=1, keepdims=True), np.float32)
    put(index, model, [f"q{n}" for n in range(60)], near)
    assert not is_narrowed(index)
    assert_same(index, model, k=10)


def test_axes_of_long_vectors_are_learned_soon_and_hold_nearly_as_much() -> None:
    draw = np.random.default_rng(6)
    turned, _ = np.linalg.qr(draw.standard_normal((1536, 300)))
    vectors = np.asarray((draw.standard_normal((512, 300)) * np.exp(-np.arange(300) / 40)) @ turned.T, np.float32)
    began = time.process_time()
    axes = leading_axes(vectors)
    assert time.process_time() - began < 2
    assert axes.shape == (1536, AXES)
    assert np.abs(axes.T @ axes - np.eye(AXES)).max() < 1e-5
    longest = np.linalg.svd(vectors, compute_uv=False)[:AXES]
    assert np.square(vectors @ axes).sum() > 0.995 * np.square(longest).sum()
