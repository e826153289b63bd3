"""A corpus as searches see it, held in memory and served by Lance's own index: both give the same answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from lakehouse.adapters.corpus_reader import CorpusReader
from lakehouse.adapters.lance_corpus import LanceCorpus
from lakehouse.adapters.lance_table import LanceTable
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.lance_text import build_text_index
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.open_corpus import OpenCorpus
from lakehouse.errors import BadInput, NotFound
from lakehouse.retrieval.filters import parse_filter
from lakehouse.retrieval.text_index import TextIndex
from lakehouse.storage.objects import list_all
from lakehouse.tables.corpus import corpus_schema
from tests.hot_rows import batch_of, clustered, exact_distances
from tests.servers import StoreServer

DIMENSION = 16
ROWS = 24_000
GONE = range(100, 200)
FRESH = 50
INFO = {"kind": "index", "dimension": DIMENSION, "distance": "cosine", "embedder": "static"}
VECTORS = clustered(ROWS + FRESH, DIMENSION)
WORDS = ("welder", "nurse", "driver", "cook", "mason", "clerk", "baker")
Opened: TypeAlias = OpenCorpus | LanceCorpus
Kind: TypeAlias = Callable[[LanceTable], Opened]


def text(n: int) -> str | None:
    return None if n % 11 == 0 else f"{WORDS[n % 7]} of crew {n % 97} with {WORDS[n % 5]}s, badge b{n}"


def metadata(n: int) -> dict[str, Any]:
    return {
        "state": ("OH", "IN", "KY")[n % 3],
        "number": n,
        "even": n % 2 == 0,
        **({"rare": "x"} if n % 997 == 0 else {}),
    }


def rows(numbers: range, vectors: NDArray[np.float32] = VECTORS) -> Any:
    return batch_of(
        vectors[numbers.start : numbers.stop],
        [f"r{n}" for n in numbers],
        texts=[text(n) for n in numbers],
        metadata=[metadata(n) for n in numbers],
    )


LIVING = np.array([n for n in range(ROWS + FRESH) if n not in GONE])


@pytest.fixture(scope="module")
def bucket(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    objects = store_process.objects(bucket="corpus-view")
    tables = LanceTables(objects.location, objects)
    large = tables.create("large", corpus_schema(DIMENSION), info=INFO)
    large.append(rows(range(ROWS)))
    assert large.build_index()["recall"] >= 0.98
    build_text_index(large)
    large.append(rows(range(ROWS, ROWS + FRESH)))  # rows past both indexes
    large.delete([f"r{n}" for n in GONE])
    yield objects
    for info in list_all(objects, ""):
        objects.delete(info.key)


@pytest.fixture(params=[OpenCorpus, LanceCorpus], ids=["memory", "lance"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def opened(bucket: S3ObjectStore) -> dict[Any, CorpusReader]:
    return {}


@pytest.fixture
def large(bucket: S3ObjectStore, opened: dict[Any, CorpusReader], kind: Kind) -> CorpusReader:
    if kind not in opened:
        table = LanceTables(bucket.location, bucket).open("large")
        assert table is not None
        opened[kind] = kind(table).reader
    return opened[kind]


def make(objects: S3ObjectStore, kind: Kind, **info: object) -> Opened:
    tables = LanceTables(objects.location, objects)
    return kind(tables.create("small", corpus_schema(DIMENSION), info={**INFO, **info}))


def found(reader: CorpusReader, query: Any, k: int, document: Any = None, **selected: Any) -> list[str]:
    wanted = None if document is None else parse_filter(document)
    return [hit.id for hit in reader.search_vector(query, k, reader.select(filter=wanted, **selected))]


def nearest(query: Any, numbers: Any, k: int) -> list[str]:
    distances = exact_distances(VECTORS[numbers], query, "cosine")
    return [f"r{n}" for n in np.asarray(numbers)[np.argsort(distances, kind="stable")[:k]]]


def share(reader: CorpusReader, queries: Any, numbers: Any, document: Any = None, k: int = 10) -> float:
    pairs = [(set(found(reader, q, k, document)), set(nearest(q, numbers, k))) for q in queries]
    assert all(len(got) == k for got, _ in pairs)
    return sum(len(got & wanted) for got, wanted in pairs) / (k * len(pairs))


QUERIES = (VECTORS[1000:1040] + VECTORS[5000:5040]) / 2


def test_vector_search_finds_what_exact_search_finds(large: CorpusReader) -> None:
    assert share(large, QUERIES, LIVING) >= 0.98
    assert share(large, QUERIES[:10], LIVING, k=100) >= 0.98
    hits = large.search_vector(QUERIES[0], 10, large.select())
    values = [hit.value for hit in hits]
    assert values == sorted(values)
    truth = exact_distances(VECTORS[[int(hit.id[1:]) for hit in hits]], QUERIES[0], "cosine")
    np.testing.assert_allclose(values, truth, atol=1e-5)


def test_filters_hold_before_retrieval(large: CorpusReader) -> None:
    small = {"number": {"lt": 300}}
    assert found(large, QUERIES[3], 10, small) == nearest(QUERIES[3], LIVING[LIVING < 300], 10)
    rare = [n for n in LIVING if n % 997 == 0]
    assert found(large, QUERIES[4], 100, {"rare": "x"}) == nearest(QUERIES[4], rare, 100)
    assert share(large, QUERIES[:20], LIVING[LIVING % 2 == 0], {"even": True}) >= 0.98
    assert found(large, QUERIES[5], 10, {"number": {"gt": ROWS - 1}}) == nearest(QUERIES[5], LIVING[LIVING >= ROWS], 10)
    assert found(large, QUERIES[0], 10, {"number": -1}) == []


def test_ids_asked_for_and_excluded_hold_before_retrieval(large: CorpusReader) -> None:
    best = nearest(QUERIES[0], LIVING, 30)
    assert found(large, QUERIES[0], 10, exclude_ids=best[:20]) == best[20:]
    some = ["r5", "r150", f"r{ROWS}", "unknown"]
    assert found(large, QUERIES[0], 10, only_ids=some) == nearest(QUERIES[0], [5, ROWS], 10)
    assert found(large, QUERIES[0], 10, only_ids=some, exclude_ids=["r5"]) == [f"r{ROWS}"]
    assert found(large, QUERIES[0], 10, only_ids=[]) == []
    selection = large.select(filter=parse_filter({"state": "OH"}), exclude_ids=["r0"])
    assert len(selection) == np.count_nonzero(LIVING % 3 == 0) - 1
    for name, is_meant in (("r3", True), ("r0", False), ("r4", False)):
        row = large.row_of(name)
        assert row is not None
        assert (name, selection.has(row)) == (name, is_meant)


def test_fresh_rows_are_found_and_deleted_ones_never(large: CorpusReader) -> None:
    for n in (ROWS, ROWS + FRESH - 1):
        assert found(large, VECTORS[n], 1) == [f"r{n}"]
    for n in GONE[::20]:
        assert f"r{n}" not in found(large, VECTORS[n], 50)
        assert f"r{n}" not in [hit.id for hit in large.search_text(f"badge b{n}", 50, large.select())]
        assert large.row_of(f"r{n}") is None
    assert len(large.select()) == len(large.index) == len(LIVING)


def test_text_search_scores_as_bm25_of_all_texts(large: CorpusReader) -> None:
    assert [h.id for h in large.search_text(f"badge b{ROWS + 3}", 1, large.select())] == [f"r{ROWS + 3}"]
    reference = TextIndex()
    reference.append([text(n) for n in LIVING])
    query = "the Baker with badge b12, crew 12"
    hits = large.search_text(query, 10, large.select())
    numbers = np.searchsorted(LIVING, [int(hit.id[1:]) for hit in hits])
    truth = reference.scores_of(query, numbers)
    # Of a corpus with more rows than the sample, how rare a term is is known within a few percent.
    np.testing.assert_allclose([hit.value for hit in hits], truth, rtol=0.1)
    assert hits[0].id == "r12"
    assert [hit.value for hit in hits] == sorted((hit.value for hit in hits), reverse=True)
    at = np.array([hit.row for hit in hits])
    np.testing.assert_allclose(large.text_scores(query, at), [hit.value for hit in hits], rtol=1e-5)
    few = large.search_text("nurse", 5, large.select(filter=parse_filter({"number": {"lt": 40}})))
    assert len(few) == 5
    assert all(int(hit.id[1:]) < 40 for hit in few)
    many = large.search_text("cook", 20, large.select(filter=parse_filter({"even": True})))
    assert len(many) == 20
    assert all(int(hit.id[1:]) % 2 == 0 for hit in many)
    assert large.search_text("zeppelin", 5, large.select()) == []
    assert large.search_text("the of", 5, large.select()) == []
    assert list(large.term_weights("the nurses")) == ["nurs"]


def test_rows_give_what_was_stored(large: CorpusReader) -> None:
    numbers = [ROWS + 7, 3, 22, 3]
    at = np.array([large.row_of(f"r{n}") for n in numbers])
    assert large.ids_of(at) == [f"r{n}" for n in numbers]
    assert large.texts_of(at) == [text(n) or "" for n in numbers]
    assert [b'"number":%d' % n in m for n, m in zip(numbers, large.metadata_of(at), strict=True)] == [True] * 4
    unit = VECTORS[numbers] / np.linalg.norm(VECTORS[numbers], axis=1, keepdims=True)
    np.testing.assert_allclose(large.vectors_of(at), unit, atol=1e-6)
    expected = exact_distances(VECTORS[numbers], QUERIES[0], "cosine")
    np.testing.assert_allclose(large.distances(QUERIES[0], at), expected, atol=1e-5)
    none = np.empty(0, np.int64)
    assert (large.ids_of(none), len(large.distances(QUERIES[0], none))) == ([], 0)
    with pytest.raises(NotFound):
        large.ids_of(np.array([10**9]))


def test_filter_is_checked_against_what_is_there(large: CorpusReader) -> None:
    fit = large.check(parse_filter({"nope": 1, "state": 3, "number": 4}), masked=frozenset())
    assert (fit.unknown, [c.field for c in fit.unfit], fit.is_empty) == (("nope",), ["state"], False)
    hidden = frozenset({"state"})
    assert large.check(parse_filter({"state": "OH"}), masked=hidden).unfit == {}
    assert len(large.select(filter=parse_filter({"state": "OH"}), masked=hidden)) == 0
    assert len(large.select(filter=parse_filter({"state": "[masked]"}), masked=hidden)) == len(LIVING)


def test_query_that_does_not_fit_is_refused(large: CorpusReader) -> None:
    for vector in (np.zeros(3, np.float32), np.zeros(DIMENSION, np.float32), np.full(DIMENSION, np.nan, np.float32)):
        with pytest.raises(BadInput):
            large.search_vector(vector, 5, large.select())


@pytest.mark.parametrize("distance", ["cosine", "l2", "dot"])
def test_distances_are_those_of_the_contract(objects: S3ObjectStore, kind: Kind, distance: str) -> None:
    corpus = make(objects, kind, distance=distance)
    corpus.upsert(rows(range(300)))
    truth = exact_distances(VECTORS[:300], QUERIES[0], distance)
    hits = corpus.reader.search_vector(QUERIES[0], 20, corpus.reader.select())
    assert [hit.id for hit in hits] == [f"r{n}" for n in np.argsort(truth)[:20]]
    np.testing.assert_allclose([hit.value for hit in hits], np.sort(truth)[:20], rtol=1e-4, atol=1e-4)


def test_writes_are_seen_at_once_and_by_others_after_a_look(objects: S3ObjectStore, kind: Kind) -> None:
    mine = make(objects, kind)
    assert found(mine.reader, VECTORS[0], 5) == []
    assert mine.reader.search_text("nurse", 5, mine.reader.select()) == []
    assert mine.reader.check(parse_filter({"state": "OH"}), masked=frozenset()).is_empty
    table = LanceTables(objects.location, objects).open("small")
    assert table is not None
    theirs = kind(table)
    mine.upsert(rows(range(40)))
    before = mine.reader
    selection = before.select(filter=parse_filter({"state": "OH"}))
    assert found(mine.reader, VECTORS[7], 1) == ["r7"]
    mine.upsert(rows(range(7, 8), VECTORS[::-1]))  # the same id again, elsewhere
    assert mine.delete(["r8", "r8", "unknown"])[0] == 1
    theirs.follow()
    for reader in (mine.reader, theirs.reader):
        assert len(reader.index) == 39
        assert found(reader, VECTORS[8], 40).count("r8") == 0
        assert found(reader, VECTORS[::-1][7], 1) == ["r7"]
        assert "r7" in found(reader, VECTORS[0], 100)
        assert [h.id for h in reader.search_text("badge b9", 1, reader.select())] == ["r9"]
        assert set(found(reader, VECTORS[0], 100, {"state": "OH"})) == {f"r{n}" for n in range(0, 40, 3)}
    # A search goes on with what it began with.
    assert len(before.search_vector(VECTORS[0], 100, selection)) == 14
    assert mine.reader.revision == theirs.reader.revision > before.revision
    table.refresh()
    table.optimize()
    mine.follow()
    assert sorted(found(mine.reader, VECTORS[0], 100)) == sorted(found(theirs.reader, VECTORS[0], 100))
    table.replace(iter(rows(range(10)).to_batches()))
    mine.follow()
    assert len(found(mine.reader, VECTORS[0], 100)) == 10


def chunks(numbers: range) -> Any:
    """Three chunks of each source; every tenth source has a `#` in its id, and one row is of no source."""
    ids = [f"{source_id(n)}#{c}" for n in numbers for c in range(3)] + ["added"]
    return batch_of(VECTORS[: len(ids)], ids, metadata=[{"chunk": n % 3} for n in range(len(ids))])


def source_id(n: int) -> str:
    return f"s{n}#x" if n % 10 == 0 else f"s{n}"


def test_chunks_are_selected_by_what_they_were_cut_from(objects: S3ObjectStore, kind: Kind) -> None:
    corpus = make(objects, kind)
    assert len(corpus.reader.select(only_sources=["s1"])) == 0
    corpus.upsert(chunks(range(200)))
    corpus.upsert(chunks(range(200, 300)))  # a fragment of its own
    corpus.delete(["s7#1"])
    reader = corpus.reader

    def chosen(sources: list[str], **more: Any) -> set[str]:
        return set(found(reader, VECTORS[0], 2_000, only_sources=sources, **more))

    assert chosen(["s7", "s250"]) == {"s7#0", "s7#2"}
    assert chosen(["s250#x", "s250", "nobody"]) == {f"s250#x#{c}" for c in range(3)}
    assert chosen([]) == chosen(["added"]) == chosen([""]) == set()
    assert chosen(["s8"], exclude_ids=["s8#0", "s9#0"]) == {"s8#1", "s8#2"}
    assert chosen(["s8", "s9"], document={"chunk": 2}) == {"s8#2", "s9#2"}
    assert chosen(["s8", "s9"], only_ids=["s8#1", "s1#1"]) == {"s8#1"}
    # Before retrieval: k come back whenever k are selected, however far they are.
    many = [source_id(n) for n in range(0, 10_000, 2)]
    expected = {f"{source_id(n)}#{c}" for n in range(0, 300, 2) for c in range(3)}
    assert chosen(many) == expected
    assert len(found(reader, VECTORS[1], 450, only_sources=many)) == 450


def test_corpus_says_how_it_is_served(large: CorpusReader, kind: Kind) -> None:
    stats = large.index.stats()
    assert large.is_in_memory == (kind is OpenCorpus)
    assert stats["rows"] == len(LIVING)
    assert (stats["kind"] == "lance_ivf_sq") == (kind is LanceCorpus)
    assert stats["bytes"] >= 0
