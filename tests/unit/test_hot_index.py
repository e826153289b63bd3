"""The hot index: exact answers under filters and ids, replacing, deleting, what it refuses, its two forms of search."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lakehouse.adapters.hot_index import HotIndex
from lakehouse.errors import BadInput, NotFound
from lakehouse.retrieval.filters import parse_filter
from lakehouse.retrieval.row_batch import Distance
from tests.hot_rows import batch_of, clustered, exact_distances

STATES = ("OH", "IN", "KY")


def filled(count: int, dimension: int = 24, distance: Distance = "cosine") -> tuple[HotIndex, Any]:
    vectors = clustered(count, dimension)
    index = HotIndex(dimension=dimension, distance=distance, has_text=False)
    metadata = [{"state": STATES[i % 3], "number": i} for i in range(count)]
    index.upsert(batch_of(vectors, metadata=metadata))
    index.settle()
    return index, vectors


def ids(index: HotIndex, vector: Any, k: int, **selected: Any) -> list[str]:
    return [hit.id for hit in index.search_vector(vector, k, index.select(**selected))]


@pytest.mark.parametrize("distance", ["cosine", "l2", "dot"])
@pytest.mark.parametrize("count", [1, 31, 700])
def test_distances_are_those_of_the_contract(distance: Distance, count: int) -> None:
    index, vectors = filled(count, distance=distance)
    query = clustered(1, 24, seed=9)[0]
    expected = exact_distances(vectors, query, distance)
    hits = index.search_vector(query, 10, index.select())
    order = np.argsort(expected, kind="stable")[:10]
    assert [hit.id for hit in hits] == [f"r{i}" for i in order]
    np.testing.assert_allclose([hit.value for hit in hits], expected[order], rtol=1e-4, atol=1e-5)
    rows = np.array([hit.row for hit in hits])
    assert index.ids_of(rows) == [hit.id for hit in hits]
    np.testing.assert_array_equal(index.distances(query, rows), np.array([h.value for h in hits], np.float32))


@pytest.mark.parametrize("distance", ["cosine", "l2", "dot"])
def test_large_index_by_codes_finds_nearly_all_that_exact_search_finds(distance: Distance) -> None:
    index, vectors = filled(12_000, 32, distance)
    stats = index.stats()
    assert stats["kind"] == "ivf"
    assert stats["recall_probe"] >= 0.98
    elsewhere = clustered(60, 32, seed=4)
    between = (vectors[:60] + vectors[60:120]) / 2
    for queries, share in ((between, 0.98), (elsewhere, 0.95)):
        found = 0
        for query in queries:
            expected = np.argsort(exact_distances(vectors, query, distance), kind="stable")[:10]
            found += len({f"r{i}" for i in expected} & set(ids(index, query, 10)))
        assert found / (10 * len(queries)) >= share


def test_odd_dimension_is_searched_by_codes_too() -> None:
    index, vectors = filled(6_000, 33)
    assert index.stats()["kind"] == "ivf"
    assert ids(index, vectors[77], 1) == ["r77"]


@pytest.mark.parametrize("count", [500, 12_000])
def test_k_hits_come_back_whenever_k_rows_are_selected(count: int) -> None:
    index, vectors = filled(count)
    query = vectors[3]
    for document, matching in (
        ({"state": "OH"}, [i for i in range(count) if i % 3 == 0]),
        ({"number": {"lt": 25}}, list(range(25))),
        ({"number": {"gte": 100}}, list(range(100, count))),
        ({"number": -1}, []),
        ({"state": "OH", "number": {"gte": count // 2}}, [i for i in range(count // 2, count) if i % 3 == 0]),
    ):
        selection = index.select(filter=parse_filter(document))
        assert len(selection) == len(matching)
        for k in (1, 10, 40, count, 100_000):
            hits = index.search_vector(query, k, selection)
            assert len(hits) == min(k, len(matching))
            assert {hit.row for hit in hits} <= set(matching)
            assert [h.value for h in hits] == sorted(h.value for h in hits)


def test_filter_at_odds_with_the_query_finds_the_nearest_that_pass() -> None:
    vectors = clustered(20_000, 32, clusters=8, spread=0.2)
    nearest_first = np.argsort(exact_distances(vectors, vectors[0], "cosine"))
    far = set(nearest_first[-6_000:].tolist())
    index = HotIndex(dimension=32, has_text=False)
    index.upsert(batch_of(vectors, metadata=[{"is_far": i in far} for i in range(20_000)]))
    index.settle()
    expected = [f"r{i}" for i in nearest_first if i in far][:10]
    assert len({*expected} & {*ids(index, vectors[0], 10, filter=parse_filter({"is_far": True}))}) >= 9


@pytest.mark.parametrize("count", [600, 12_000])
def test_excluded_and_only_ids_hold_before_retrieval(count: int) -> None:
    index, vectors = filled(count)
    near = ids(index, vectors[0], 200)
    assert not set(ids(index, vectors[0], 300, exclude_ids=near)) & set(near)
    assert len(ids(index, vectors[0], 300, exclude_ids=near)) == 300
    assert ids(index, vectors[0], 10, only_ids=[near[150], near[7], "nobody"]) == [near[7], near[150]]
    assert ids(index, vectors[0], 10, only_ids=[near[7], near[8]], exclude_ids=[near[7]]) == [near[8]]
    assert ids(index, vectors[0], 10, only_ids=[]) == []
    in_ohio = parse_filter({"state": "OH"})
    rows = index.ids_of(index.select(filter=in_ohio, only_ids=near, exclude_ids=near[:9]).rows())
    assert sorted(rows) == sorted(i for i in near[9:] if int(i[1:]) % 3 == 0)
    many = [f"r{i}" for i in range(count)] * 2
    assert ids(index, vectors[0], 5, exclude_ids=many) == []


def test_same_id_replaces_and_the_last_one_of_a_batch_wins() -> None:
    index = HotIndex(dimension=2)
    first, second = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    index.upsert(batch_of(np.array([first, second, second]), ["a", "a", "b"], metadata=[{"n": 1}, {"n": 2}, {"n": 3}]))
    assert len(index) == 2
    row = index.row_of("a")
    assert row is not None
    assert index.metadata_of(np.array([row])) == [b'{"n":2}']
    index.upsert(batch_of(first[None], ["b"], texts=["new words"], metadata=[{"n": 4}]))
    assert len(index) == 2
    assert ids(index, first, 5) == ["b", "a"]
    assert ids(index, first, 5, filter=parse_filter({"n": 3})) == []
    new_row = np.array([index.row_of("b")])
    assert index.texts_of(new_row) == ["new words"]
    np.testing.assert_array_equal(index.vectors_of(new_row), [first])


def test_deleted_rows_are_never_found_and_selections_are_of_their_moment() -> None:
    index, vectors = filled(6_000)
    before = index.select()
    assert index.delete(["r0", "r0", "r1", "nobody"]) == 2
    assert len(index) == 5_998
    assert index.row_of("r0") is None
    assert "r0" not in ids(index, vectors[0], 6_000)
    assert index.search_vector(vectors[0], 1, before)[0].id == "r0"
    assert not index.select().has(0)
    assert before.has(0)
    assert not before.has(6_000)
    assert index.keep_only(["r5", "r6", "nobody"]) == 5_996
    assert sorted(ids(index, vectors[0], 10)) == ["r5", "r6"]
    assert index.delete([]) == 0


def test_fresh_rows_are_found_at_once_beside_codes() -> None:
    index, _ = filled(6_000)
    fresh = clustered(300, 24, seed=77, clusters=300)
    for i, vector in enumerate(fresh):
        index.upsert(batch_of(vector[None], [f"fresh{i}"]))
        assert ids(index, vector, 1) == [f"fresh{i}"]


def test_rows_are_good_after_compaction_while_their_selection_is_kept() -> None:
    index, vectors = filled(6_000)
    selection = index.select()
    hits = index.search_vector(vectors[10], 50, selection)
    rows = np.array([hit.row for hit in hits])
    survivor = index.row_of("r5999")
    index.delete([f"r{i}" for i in range(4_000)])
    index.settle()
    assert index.stats()["deleted"] == 0
    assert index.ids_of(rows) == [hit.id for hit in hits]
    assert index.metadata_of(rows[:1]) == [b'{"state":"IN","number":10}']
    assert survivor is not None
    del selection
    assert index.ids_of(np.array([survivor])) == ["r5999"]
    assert index.row_of("r5999") != survivor
    assert ids(index, vectors[5_000], 1) == ["r5000"]
    for unknown in (0, -1, 10**12):
        with pytest.raises(NotFound, match="are gone"):
            index.distances(vectors[0], np.array([unknown]))
    assert len(ids(index, vectors[0], 10_000)) == 2_000


def test_dropped_index_and_generation_go_at_once() -> None:
    index, vectors = filled(6_000)
    index.search_vector(vectors[0], 3, index.select(filter=parse_filter({"state": "OH"})))
    old, whole = weakref.ref(index.generation), weakref.ref(index)
    gc.disable()
    try:
        index.delete([f"r{i}" for i in range(4_000)])
        index.settle()
        assert old() is None
        last = weakref.ref(index.generation)
        index.select()
        del index
        assert whole() is None
        assert last() is None
    finally:
        gc.enable()


def test_text_search_ranks_living_selected_rows() -> None:
    index = HotIndex(dimension=2)
    texts = ["forklift operator", "forklift forklift", "welder", None]
    vectors = np.ones((4, 2), np.float32)
    index.upsert(batch_of(vectors, ["a", "b", "c", "d"], texts=texts, metadata=[{"n": i} for i in range(4)]))
    hits = index.search_text("forklift", 10, index.select())
    assert {hit.id for hit in hits} == {"a", "b"}
    assert hits[0].value >= hits[1].value > 0
    rows = np.array([hit.row for hit in hits])
    np.testing.assert_allclose(index.text_scores("forklift", rows), [hit.value for hit in hits])
    assert [h.id for h in index.search_text("forklift", 10, index.select(filter=parse_filter({"n": 1})))] == ["b"]
    index.upsert(batch_of(vectors[:1], ["b"], texts=["crane"]))
    assert [h.id for h in index.search_text("forklift", 10, index.select())] == ["a"]
    assert index.search_text("forklift", 0, index.select()) == []
    assert index.search_text("", 5, index.select()) == []


def test_index_without_text_finds_no_text() -> None:
    index, _ = filled(3)
    assert index.search_text("forklift", 5, index.select()) == []
    assert index.text_scores("forklift", np.array([0, 1])).tolist() == [0, 0]


@pytest.mark.parametrize("distance", ["cosine", "l2", "dot"])
def test_refused_batch_names_id_and_position_and_changes_nothing(distance: Distance) -> None:
    index = HotIndex(dimension=3, distance=distance, has_text=False)
    good = np.ones((3, 3), np.float32)
    for value in (np.nan, np.inf, -np.inf):
        bad = good.copy()
        bad[1, 2] = value
        with pytest.raises(
            BadInput, match=r"item 'r1' \(position 1\) has a value that is not a finite number \(at 2\)"
        ):
            index.upsert(batch_of(bad))
    with pytest.raises(
        BadInput, match=r"item 'r0' \(position 0\) has a vector of 4 values, this index has dimension 3"
    ):
        index.upsert(batch_of(np.ones((2, 4), np.float32)))
    ragged = pa.table({"id": ["a", "b"], "vector": pa.array([[1, 2, 3], [1, 2]], pa.list_(pa.float32()))})
    with pytest.raises(BadInput, match=r"item 'b' \(position 1\) has a vector of 2 values"):
        index.upsert(ragged)
    nothing = pa.table({"id": ["a"], "vector": pa.array([None], pa.list_(pa.float32()))})
    with pytest.raises(BadInput, match=r"item 'a' \(position 0\) has no vector"):
        index.upsert(nothing)
    holes = pa.table({"id": ["a", "b"], "vector": pa.array([[1, 2, 3], [1, None, 3]], pa.list_(pa.float32(), 3))})
    with pytest.raises(BadInput, match=r"item 'b' \(position 1\) has no number at 1"):
        index.upsert(holes)
    with pytest.raises(BadInput, match="position 1 has no id"):
        index.upsert(pa.table({"id": ["a", None], "vector": pa.array([[1, 2, 3]] * 2, pa.list_(pa.float32(), 3))}))
    not_json = batch_of(good).set_column(4, "metadata", pa.array(["{}", "{}", "[]"]))
    with pytest.raises(BadInput, match=r"metadata of item 'r2' \(position 2\) must be a JSON object"):
        index.upsert(not_json)
    assert len(index) == 0
    assert index.stats()["deleted"] == 0


def test_zero_vector_is_refused_under_cosine_alone() -> None:
    zero = np.zeros((1, 3), np.float32)
    with pytest.raises(BadInput, match=r"item 'r0' \(position 0\) is zero"):
        HotIndex(dimension=3).upsert(batch_of(zero))
    index = HotIndex(dimension=3, distance="l2")
    index.upsert(batch_of(zero))
    assert index.search_vector([0, 0, 2], 1, index.select())[0].value == 4


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ([1, 2], "has 2 values, this index has dimension 3"),
        ([[1, 2, 3]], "has shape"),
        ([1, 2, "x"], "must be a list of numbers"),
        (None, "this index has dimension 3"),
        ([1, float("nan"), 3], "not a finite number"),
        ([0, 0, 0], "is zero"),
    ],
)
def test_refused_query_says_why(vector: object, message: str) -> None:
    index = HotIndex(dimension=3)
    for count in (0, 1):
        index.upsert(batch_of(np.ones((count, 3), np.float32)))
        with pytest.raises(BadInput, match=message):
            index.search_vector(vector, 5, index.select())


@pytest.mark.parametrize("k", [0, -1])
def test_k_of_none_finds_none(k: int) -> None:
    index, vectors = filled(10)
    assert index.search_vector(vectors[0], k, index.select()) == []
    assert index.search_text("x", k, index.select()) == []


def test_empty_index_answers() -> None:
    index = HotIndex(dimension=3)
    assert index.search_vector([1, 2, 3], 10, index.select()) == []
    assert index.search_text("anything", 10, index.select()) == []
    assert len(index.select(filter=parse_filter({"a": 1}), exclude_ids=["x"])) == 0
    assert index.ids_of(np.empty(0, np.int64)) == []
    index.upsert(batch_of(np.empty((0, 3), np.float32)))
    assert index.stats()["rows"] == 0
    for wrong in ("euclid", ""):
        with pytest.raises(BadInput, match="there is no distance"):
            HotIndex(dimension=3, distance=wrong)  # type: ignore[arg-type]


def test_batch_without_text_and_metadata_and_in_pieces_is_taken() -> None:
    index = HotIndex(dimension=2)
    vectors = pa.chunked_array([pa.array([[1, 0], [0, 1]], pa.list_(pa.float32(), 2)).slice(1)] * 2)
    index.upsert(pa.table({"id": pa.chunked_array([["a"], ["b"]]), "vector": vectors}))
    index.upsert(pa.record_batch({"id": ["c"], "vector": pa.array([[1.0, 0.0]], pa.list_(pa.float64()))}))
    assert ids(index, [0, 1], 5) == ["a", "b", "c"]
    assert index.metadata_of(np.array([0])) == [b"{}"]


def test_masked_column_does_not_tell_what_it_holds() -> None:
    index = HotIndex(dimension=2)
    index.upsert(batch_of(np.ones((2, 2), np.float32), metadata=[{"email": "a@x.org"}, {}]))
    wanted = parse_filter({"email": "a@x.org"})
    assert len(index.select(filter=wanted)) == 1
    assert len(index.select(filter=wanted, masked=frozenset({"email"}))) == 0
    assert len(index.select(filter=parse_filter({"email": "[masked]"}), masked=frozenset({"email"}))) == 2
    assert index.check(parse_filter({"salary": 1})).unknown == ("salary",)
