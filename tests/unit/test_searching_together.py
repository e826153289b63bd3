"""Several queries in one search: the same answers as one by one, whatever comes together."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from lakehouse.adapters import gathered_searches
from lakehouse.adapters.gathered_searches import GatheredSearches
from lakehouse.adapters.hot_index import HotIndex, hits_of
from lakehouse.adapters.hot_search_together import is_gatherable
from lakehouse.errors import BadInput
from lakehouse.retrieval.corpus_view import Hit
from lakehouse.retrieval.row_batch import Distance
from tests.hot_rows import batch_of

pytestmark = pytest.mark.anyio
ROWS, DIMENSION = 8_000, 32


def clustered(count: int, seed: int) -> NDArray[np.float32]:
    draw = np.random.default_rng(seed)
    centers = np.random.default_rng(1).standard_normal((40, DIMENSION))
    return (centers[draw.integers(0, 40, count)] + 0.3 * draw.standard_normal((count, DIMENSION))).astype(np.float32)


@pytest.fixture(scope="module", params=["cosine", "l2", "dot"])
def index(request: pytest.FixtureRequest) -> HotIndex:
    distance: Distance = request.param
    made = HotIndex(dimension=DIMENSION, distance=distance, has_text=False)
    vectors = clustered(ROWS, 2)
    made.upsert(batch_of(vectors))
    made.settle()
    assert made.stats()["kind"] == "ivf"
    return made


def same(one: Hit, other: Hit) -> bool:
    return one.value == pytest.approx(other.value, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("k", [1, 10, 40])
def test_each_gets_what_it_gets_alone(index: HotIndex, k: int) -> None:
    selection = index.select()
    assert is_gatherable(selection)
    far = np.random.default_rng(3).standard_normal((5, DIMENSION)).astype(np.float32) * 4  # near to no row
    queries = [index.read_query(query) for query in np.concatenate([clustered(40, 4), far])]
    together = index.nearest_rows_of_each(queries, k, selection)
    for query, near in zip(queries, together, strict=True):
        hits, alone = hits_of(selection, *near), index.search_vector(query, k, selection)
        assert len(hits) == k
        assert all(same(a, b) for a, b in zip(hits, alone, strict=True))
        assert index.ids_of(np.array([hit.row for hit in hits])) == [hit.id for hit in hits]


@pytest.mark.parametrize("rows", [300, 8_000])
@pytest.mark.parametrize("distance", ["cosine", "l2", "dot"])
def test_fresh_rows_and_rows_that_went_are_as_in_a_search_alone(rows: int, distance: Distance) -> None:
    made = HotIndex(dimension=DIMENSION, distance=distance, has_text=False)
    made.upsert(batch_of(clustered(rows, 11)))
    made.settle()
    fresh = batch_of(clustered(40, 12))
    made.upsert(fresh.set_column(0, "id", pa.array([f"fresh{n}" for n in range(40)])))
    queries = [made.read_query(query) for query in np.concatenate([clustered(20, 12)[:10], clustered(10, 13)])]
    gone = {made.search_vector(query, 1, made.select())[0].id for query in queries}
    made.delete(sorted(gone))
    selection = made.select()
    assert is_gatherable(selection)
    assert not selection.is_all
    for k in (1, 10, 60):
        for query, near in zip(queries, made.nearest_rows_of_each(queries, k, selection), strict=True):
            hits, alone = hits_of(selection, *near), made.search_vector(query, k, selection)
            assert not gone & {hit.id for hit in hits}
            assert len(hits) == k
            assert [hit.id for hit in hits] == [hit.id for hit in alone] or rows > 300  # codes may differ in the last
            assert all(same(a, b) for a, b in zip(hits[: max(1, k - 2)], alone, strict=False))


async def test_searches_of_one_turn_are_one_search(monkeypatch: pytest.MonkeyPatch, index: HotIndex) -> None:
    asked: list[int] = []
    search = HotIndex.nearest_rows_of_each

    def counting(self: HotIndex, queries: list[NDArray[np.float32]], k: int, selection: object) -> object:
        asked.append(len(queries))
        return search(self, queries, k, selection)  # type: ignore[arg-type]

    monkeypatch.setattr(HotIndex, "nearest_rows_of_each", counting)
    monkeypatch.setattr(gathered_searches, "_MOST", 4)
    gathered = GatheredSearches()
    vectors = clustered(6, 5)
    found = await asyncio.gather(*(gathered.search(index, v, 5, index.select()) for v in vectors))
    assert asked == [4, 2]
    for vector, hits in zip(vectors, found, strict=True):
        assert [hit.id for hit in hits] == [hit.id for hit in index.search_vector(vector, 5, index.select())]


async def test_a_bad_query_and_one_who_leaves_do_not_touch_the_others(index: HotIndex) -> None:
    gathered = GatheredSearches()
    good = clustered(2, 6)
    tasks = [
        asyncio.ensure_future(gathered.search(index, vector, 5, index.select()))
        for vector in (good[0], np.full(DIMENSION, np.nan, np.float32), good[1])
    ]
    await asyncio.sleep(0)  # the first turn: all three have asked
    tasks[2].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [hit.id for hit in done[0]] == [hit.id for hit in index.search_vector(good[0], 5, index.select())]  # type: ignore[union-attr]
    assert isinstance(done[1], BadInput)
    assert isinstance(done[2], asyncio.CancelledError)


async def test_selected_rows_fresh_rows_and_none_are_answered_as_always(index: HotIndex) -> None:
    gathered = GatheredSearches()
    vector = clustered(1, 7)[0]
    some = index.select(only_ids=[f"r{n}" for n in range(100)])
    assert not is_gatherable(some)
    assert await gathered.search(index, vector, 0, index.select()) == []
    found = {hit.id for hit in await gathered.search(index, vector, 5, some)}
    assert len(found) == 5
    assert found <= {f"r{n}" for n in range(100)}


@pytest.mark.parametrize("only", [None, 3_000, 100])
async def test_what_is_left_out_is_not_found_and_the_next_ones_are(index: HotIndex, only: int | None) -> None:
    gathered, vectors = GatheredSearches(), clustered(6, 9)
    base = index.select(only_ids=None if only is None else [f"r{n}" for n in range(only)])
    for vector in vectors:
        near = [hit.id for hit in index.search_vector(vector, 30, base)]
        few = base.without(index.rows_of(near[:20:2]))
        assert len(few) == len(base) - 10
        alone = index.search_vector(vector, 15, few)
        assert [hit.id for hit in alone] == [name for name in near if name not in near[:20:2]][:15]
        together = await asyncio.gather(*(gathered.search(index, one, 15, few) for one in (vector, *vectors)))
        assert [hit.id for hit in together[0]] == [hit.id for hit in alone]
        everything = await gathered.search(index, vector, len(few) + 5, few)
        assert len(everything) == len(few)


def test_ids_that_are_few_are_found_as_many_are(index: HotIndex) -> None:
    ids = [f"r{n}" for n in range(0, 100, 3)] + ["nobody"]
    rows = index.rows_of(ids)
    assert rows.tolist() == [index.rows_of([one])[0] for one in ids]
    assert rows[-1] == -1


@pytest.mark.parametrize("distance", ["cosine", "l2"])
def test_odd_dimensions_are_read_from_memory_that_is_still_theirs(distance: Distance) -> None:
    vectors = np.random.default_rng(8).standard_normal((6_000, 385)).astype(np.float32)
    odd = HotIndex(dimension=385, distance=distance, has_text=False)
    odd.upsert(batch_of(vectors))
    odd.settle()
    rows = odd.generation
    assert rows.codes is not None
    rows.codes = replace(rows.codes, width=replace(rows.codes.width, recall=1.0))
    selection = odd.select()
    for start in range(0, 640, 64):
        queries = [odd.read_query(vector) for vector in vectors[start : start + 64]]
        found = odd.nearest_rows_of_each(queries, 1, selection)
        assert [int(rows[0]) for rows, _ in found] == list(range(start, start + 64))
