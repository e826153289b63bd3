"""The hot index against a plain dictionary: any order of writes, any selection, and many threads at once."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lakehouse.adapters import hot_upkeep
from lakehouse.adapters.hot_index import HotIndex
from lakehouse.adapters.hot_rows import HotRows
from lakehouse.retrieval.filters import matches, parse_filter
from tests.hot_rows import batch_of, clustered, exact_distances

DIMENSION = 8
NAMES = tuple(f"id{i}" for i in range(12))
VECTORS = clustered(40, DIMENSION, seed=3, clusters=40)
FILTERS = (None, {"n": {"lt": 20}}, {"n": {"ne": 3}}, {"tag": "a"}, {"tag": {"exists": False}}, {"n": -1})
metadata = st.fixed_dictionaries({"n": st.integers(0, 39)}, optional={"tag": st.sampled_from(("a", "b"))})
# So that those who look leave some time to those who write.
PAUSE_S = 0.001
rows = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 39), metadata), min_size=1, max_size=15)


class IndexAgainstDictionary(RuleBasedStateMachine):
    """Every answer is that of sorting the dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.index = HotIndex(dimension=DIMENSION)
        self.model: dict[str, tuple[int, dict[str, Any]]] = {}

    @rule(batch=rows)
    def upsert(self, batch: list[tuple[str, int, dict[str, Any]]]) -> None:
        self.index.upsert(
            batch_of(
                VECTORS[[vector for _, vector, _ in batch]],
                [name for name, _, _ in batch],
                texts=[f"word{vector}" for _, vector, _ in batch],
                metadata=[document for _, _, document in batch],
            )
        )
        self.model.update({name: (vector, document) for name, vector, document in batch})

    @rule(names=st.lists(st.sampled_from(NAMES), max_size=12))
    def delete(self, names: list[str]) -> None:
        assert self.index.delete(names) == len({*names} & {*self.model})
        for name in names:
            self.model.pop(name, None)

    @rule(names=st.lists(st.sampled_from(NAMES), max_size=6))
    def keep_only(self, names: list[str]) -> None:
        assert self.index.keep_only(names) == len({*self.model} - {*names})
        self.model = {name: row for name, row in self.model.items() if name in names}

    @rule()
    def compact(self) -> None:
        index = self.index
        view = index.generation.view
        index.swap(index.generation.copy_living(view), index.generation, view)
        assert index.stats()["deleted"] == 0

    @rule()
    def restart(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            self.index.save(Path(name) / "snapshot", source={"version": 3})
            self.index = HotIndex.load(Path(name) / "snapshot", source={"version": 3})

    @rule(
        query=st.integers(0, 39),
        k=st.integers(1, 15),
        document=st.sampled_from(FILTERS),
        only=st.none() | st.lists(st.sampled_from((*NAMES, "nobody")), max_size=6),
        excluded=st.lists(st.sampled_from((*NAMES, "nobody")), max_size=6),
    )
    def search(self, query: int, k: int, document: Any, only: list[str] | None, excluded: list[str]) -> None:
        wanted = None if document is None else parse_filter(document)
        selection = self.index.select(filter=wanted, only_ids=only, exclude_ids=excluded)
        passing = {
            name: vector
            for name, (vector, found) in self.model.items()
            if (wanted is None or matches(wanted, found)) and (only is None or name in only) and name not in excluded
        }
        assert len(selection) == len(passing)
        hits = self.index.search_vector(VECTORS[query], k, selection)
        assert len(hits) == min(k, len(passing))
        assert len({hit.id for hit in hits}) == len(hits)
        if passing:
            distances = exact_distances(VECTORS[list(passing.values())], VECTORS[query], "cosine")
            np.testing.assert_allclose([h.value for h in hits], np.sort(distances)[: len(hits)], atol=1e-5)
        of_name = dict(zip(passing, distances, strict=True)) if passing else {}
        assert all(abs(of_name[hit.id] - hit.value) < 1e-5 for hit in hits)
        texts = {hit.id for hit in self.index.search_text(f"word{query}", 50, selection)}
        assert texts == {name for name, vector in passing.items() if vector == query}

    @invariant()
    def knows_its_rows(self) -> None:
        assert len(self.index) == len(self.model)
        for name in NAMES:
            row = self.index.row_of(name)
            assert (row is not None) == (name in self.model)
            if row is not None:
                vector, document = self.model[name]
                at = np.array([row])
                assert self.index.ids_of(at) == [name]
                assert self.index.texts_of(at) == [f"word{vector}"]
                assert self.index.distances(VECTORS[vector], at)[0] < 1e-6
                assert matches(parse_filter({"n": document["n"]}), {"n": document["n"]})


TestIndexAgainstDictionary = IndexAgainstDictionary.TestCase
TestIndexAgainstDictionary.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_upkeep_changes_no_answer(seed: int) -> None:
    draw = np.random.default_rng(seed)
    index = HotIndex(dimension=16, has_text=False)
    vectors = clustered(5_600, 16, seed=seed % 1000)
    index.upsert(batch_of(vectors[:5_200]))
    gone = draw.choice(5_200, int(draw.integers(0, 4_000)), replace=False)
    index.delete([f"r{i}" for i in gone])
    index.upsert(batch_of(vectors[5_200:], [f"r{i}" for i in range(5_200, 5_600)]))
    living = np.setdiff1d(np.arange(5_600), gone)
    query = vectors[int(draw.integers(0, 5_600))]
    expected = np.sort(exact_distances(vectors[living], query, "cosine"))[:3]
    for _ in range(2):
        hits = index.search_vector(query, 3, index.select())
        np.testing.assert_allclose([h.value for h in hits], expected, atol=1e-5)
        assert len(index.search_vector(query, 6_000, index.select())) == len(living)
        index.settle()


def in_threads(works: list[Callable[[], None]]) -> None:
    """All of them at once; the first failure is raised."""
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@pytest.mark.parametrize("size", [1, 31, 33, 400])
def test_growing_and_shrinking_under_fifty_threads_answers_exactly(size: int) -> None:
    """Writers own their ids; what each of them has written it finds, and readers see writes whole."""
    index = HotIndex(dimension=DIMENSION)
    index.upsert(batch_of(np.ones((1, DIMENSION), np.float32), ["anchor"], metadata=[{"owner": -1}], texts=["anchor"]))
    writers, readers, rounds = 10, 40, 2 if size > 100 else 4
    base = clustered(size, DIMENSION, seed=5, clusters=size)
    done = threading.Event()
    running = [writers]

    def write(owner: int) -> None:
        names = [f"{owner}-{i}" for i in range(size)]
        mine = parse_filter({"owner": owner})
        for turn in range(rounds):
            vectors = np.roll(base, turn + owner, axis=1)
            documents = [{"owner": owner, "turn": turn}] * size
            index.upsert(batch_of(vectors, names, metadata=documents, texts=[f"turn{turn}"] * size))
            selection = index.select(filter=mine)
            assert len(selection) == size
            hits = index.search_vector(vectors[0], size, selection)
            expected = np.sort(exact_distances(vectors, vectors[0], "cosine"))
            np.testing.assert_allclose([h.value for h in hits], expected, atol=1e-5)
            assert len(index.search_text(f"turn{turn}", size, selection)) == size
            assert index.delete(names) == size
            assert len(index.select(filter=mine)) == 0
        running[0] -= 1
        if not running[0]:
            done.set()

    def read(number: int) -> None:
        while not done.wait(PAUSE_S):
            selection = index.select(filter=parse_filter({"owner": number % writers}))
            hits = index.search_vector(base[0], size, selection)
            rows = np.array([hit.row for hit in hits], np.int64)
            # All of one write, or nothing.
            assert len(hits) in (0, size)
            assert len(set(index.metadata_of(rows))) <= 1
            assert [hit.id for hit in hits] == index.ids_of(rows)
            assert index.search_vector(np.ones(DIMENSION), 1, index.select())[0].id == "anchor"
            assert [hit.id for hit in index.search_text("anchor", 5, index.select())] == ["anchor"]

    def tidy() -> None:
        while not done.wait(PAUSE_S):
            index.settle()

    works = [lambda owner=owner: write(owner) for owner in range(writers)]
    works += [lambda number=number: read(number) for number in range(readers)]
    in_threads([*works, tidy])
    index.settle()
    assert len(index) == 1


@pytest.mark.slow
def test_replacing_and_compacting_beside_codes_loses_and_doubles_nothing() -> None:
    index = HotIndex(dimension=16, has_text=False)
    count = 6_000
    vectors = clustered(count, 16)
    index.upsert(batch_of(vectors, metadata=[{"turn": 0}] * count))
    index.settle()
    done = threading.Event()

    def write() -> None:
        try:
            for turn in range(1, 30):
                part = np.random.default_rng(turn).choice(count, 500, replace=False)
                index.upsert(batch_of(vectors[part], [f"r{i}" for i in part], metadata=[{"turn": turn}] * 500))
        finally:
            done.set()

    def read(seed: int) -> None:
        draw = np.random.default_rng(seed)
        while not done.wait(PAUSE_S):
            row = int(draw.integers(count))
            selection = index.select()
            assert len(selection) == count
            hits = index.search_vector(vectors[row], 20, selection)
            assert hits[0].id == f"r{row}"
            assert len({hit.id for hit in hits}) == 20
            assert index.ids_of(np.array([hit.row for hit in hits])) == [hit.id for hit in hits]

    in_threads([write, *(lambda seed=seed: read(seed) for seed in range(6))])
    index.settle()
    stats = index.stats()
    assert stats["rows"] == count
    assert stats["deleted"] <= 0.3 * (count + stats["deleted"])
    assert sorted(index.ids_of(index.select().rows() + index.generation.first)) == sorted(f"r{i}" for i in range(count))


def test_what_is_due() -> None:
    rows = HotRows(16, has_text=False)
    assert hot_upkeep.due(rows) is None
    index = HotIndex(dimension=16, has_text=False)
    index.reserve(1_000_000)
    index.upsert(batch_of(clustered(5_000, 16)))
    assert index.stats()["kind"] == "exact"
    assert hot_upkeep.due(index.generation) == "train"
    assert hot_upkeep.due(index.generation, expected_rows=1_000_000) is None
    index.settle()
    assert hot_upkeep.due(index.generation) is None
    index.delete([f"r{i}" for i in range(1_000)])
    assert hot_upkeep.due(index.generation) is None
    narrow = HotIndex(dimension=2, has_text=False)
    narrow.upsert(batch_of(clustered(5_000, 2)))
    assert hot_upkeep.due(narrow.generation) is None
