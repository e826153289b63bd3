"""The index of playbook entries: the same answers as by brute force, through writes, deletions and compactions."""

from __future__ import annotations

import asyncio
import random

import numpy as np
import pytest
from numpy.typing import NDArray

from lakehouse.adapters.entry_index import HotEntryIndex
from lakehouse.errors import BadInput, NotFound
from lakehouse.retrieval.playbook_index import Nearby
from tests.fakes.entry_index import FlatIndex

DIMENSION = 32
DRAW = np.random.default_rng(7)


def vectors(count: int) -> NDArray[np.float32]:
    drawn = DRAW.normal(size=(count, DIMENSION)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def filled(count: int) -> tuple[HotEntryIndex, FlatIndex]:
    """The index and its model, written to by some hundred at a time, some of them again."""
    index, model = HotEntryIndex(lambda: DIMENSION), FlatIndex()
    ids = [f"p{n}" for n in range(count)]
    for start in range(0, count, 100):
        some = ids[start : start + 100] + ids[max(0, start - 10) : start]
        drawn = vectors(len(some))
        index.put(some, drawn)
        model.put(some, drawn)
    return index, model


def assert_same(index: HotEntryIndex, model: FlatIndex, *, max_distance: float = 2.0) -> None:
    for query in vectors(5):
        got, wanted = index.nearest(query, 20, max_distance), model.nearest(query, 20, max_distance)
        assert got.distances == pytest.approx(wanted.distances, abs=5e-5)
        assert set(got.ids) == set(wanted.ids)


def test_index_without_entries_finds_none_and_asks_for_no_dimension() -> None:
    def dimension() -> int:
        raise AssertionError("a model was loaded for nothing")

    index = HotEntryIndex(dimension)
    assert index.nearest(vectors(1)[0], 5, 2.0).ids == ()
    assert index.delete(["a"]) == 0
    assert index.row_of("a") is None
    assert asyncio.run(_looked(index, vectors(2))) == [((), ()), ((), ())]


def test_entries_are_found_as_by_brute_force_within_a_distance() -> None:
    index, model = filled(1000)
    assert_same(index, model)
    assert_same(index, model, max_distance=0.7)


def test_rows_keep_their_vectors_and_name_those_of_entries_that_are_there() -> None:
    index, model = filled(300)
    row = index.row_of("p7")
    assert row is not None
    assert index.vectors_at(np.array([row, row])) == pytest.approx(np.stack([model.vectors["p7"]] * 2), abs=2e-5)
    index.delete(["p7"])
    assert index.row_of("p7") is None


def test_products_are_those_of_the_vectors() -> None:
    index, model = filled(300)
    rows = np.array([index.row_of("p7"), index.row_of("p299")])
    query = vectors(1)[0]
    wanted = np.stack([model.vectors["p7"], model.vectors["p299"]]) @ query
    assert index.products_at(rows, query) == pytest.approx(wanted, abs=1e-4)
    assert index.products_at(rows[:1], model.vectors["p7"]) == pytest.approx([1], abs=1e-4)


def test_entries_without_codes_are_found_beside_those_that_have_them() -> None:
    index, model = filled(5500)
    index._upkeep.settle()
    assert index.generation.codes is not None
    for _ in range(3):
        drawn = vectors(300)
        index.put(ids := [f"q{DRAW.integers(1 << 40)}" for _ in drawn], drawn)
        model.put(ids, drawn)
        for vector, one in zip(drawn[:5], ids[:5], strict=True):
            assert index.nearest(vector, 1, 0.01).ids == [one]
    together = asyncio.run(_looked(index, drawn[:20]))
    assert [near[1][:1] for near in together] == [[one] for one in ids[:20]]  # type: ignore[index]
    rows = index.generation
    assert rows.span(5500, rows.view.end) == pytest.approx(rows.span(0, rows.view.end)[5500:], abs=1e-6)


def test_codes_find_all_that_is_near_enough_and_nothing_else() -> None:
    """Entries in clusters, some of them gone: the lists that have nothing near enough are not scanned."""
    centres = np.repeat(vectors(300), 20, axis=0)
    drawn = centres + 0.08 * DRAW.normal(size=centres.shape).astype(np.float32)
    near = np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)
    index, model, ids = HotEntryIndex(lambda: DIMENSION), FlatIndex(), [f"p{n}" for n in range(len(near))]
    index.put(ids, near)
    model.put(ids, near)
    index._upkeep.settle()
    assert index.generation.codes is not None
    for part in range(2):
        queries = np.concatenate([near[part:5000:250], vectors(20)])
        wanted = [model.nearest(query, 32, 0.35) for query in queries]
        found = sum(len(one.ids) for one in wanted)
        for got in ([index.nearest(query, 32, 0.35) for query in queries], asyncio.run(_near(index, queries))):
            missed = sum(len(set(one.ids) - set(other.ids)) for one, other in zip(wanted, got, strict=True))
            assert missed <= 0.01 * found
            assert all(distance <= 0.35 for one in got for distance in one.distances)
            assert [one.ids[:1] for one in got] == [one.ids[:1] for one in wanted]
        assert index.delete(ids[part::7]) == model.delete(ids[part::7])


def test_compaction_moves_rows_and_changes_no_answer() -> None:
    index, model = filled(6000)
    kept = index.row_of("p5999")
    for _ in range(2):
        gone = random.Random(3).sample(sorted(model.vectors), 2000)
        index.delete(gone)
        model.delete(gone)
        index._upkeep.settle()
        drawn = vectors(50)
        index.put(gone[:50], drawn)
        model.put(gone[:50], drawn)
    assert index.generation.first > 0
    assert index.generation.view.end < 6000
    assert_same(index, model)
    for playbook_id in ("p1", "p77", *gone[:2]):
        row = index.row_of(playbook_id)
        assert (row is None) == (playbook_id not in model.vectors)
        if row is not None:
            assert index.vectors_at(np.array([row]))[0] == pytest.approx(model.vectors[playbook_id], abs=2e-5)
    assert kept is not None
    with pytest.raises(NotFound):
        index.vectors_at(np.array([kept]))


def test_searches_of_one_turn_are_answered_as_if_alone() -> None:
    index, _ = filled(800)
    queries = vectors(70)
    together = asyncio.run(_looked(index, queries))
    alone = [tuple(index.nearest(query, 10, 0.9)) for query in queries]
    for got, wanted in zip(together, alone, strict=True):
        assert got[0] == pytest.approx(wanted[0], abs=5e-5)
        assert got[1] == wanted[1]


def test_vectors_that_nothing_can_be_compared_with_are_refused_and_change_nothing() -> None:
    index, model = filled(100)
    with pytest.raises(BadInput):
        index.put(["x"], np.full((1, DIMENSION), np.nan, np.float32))
    with pytest.raises(BadInput):
        index.put(["x"], np.ones((1, 3), np.float32))
    assert_same(index, model)


async def _near(index: HotEntryIndex, queries: NDArray[np.float32]) -> list[Nearby]:
    return list(await asyncio.gather(*[index.look(query, 32, 0.35) for query in queries]))


async def _looked(index: HotEntryIndex, queries: NDArray[np.float32]) -> list[tuple[object, object]]:
    looks = [index.look(query, 10, 0.9) for query in queries]
    return [tuple(near) for near in await asyncio.gather(*looks)]  # type: ignore[misc]
