"""BM25 in memory against the formula spelt out: scores, order, masks, appends in any pieces, files."""

from __future__ import annotations

import math
import threading
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lakehouse.errors import BadInput
from lakehouse.retrieval.text_index import K1, TAIL_ROWS, B, TextIndex

WORDS = ["forklift", "nurse", "welder", "night", "shift", "osha", "crane", "dock", "audit", "ledger"]
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), max_size=60)
QUERIES = st.lists(st.sampled_from([*WORDS, "unknown"]), max_size=6).map(" ".join)


def spelt_out(texts: list[str], query: str, average_length: float) -> NDArray[np.float64]:
    documents = [Counter(text.split()) for text in texts]
    filled = sum(1 for d in documents if d)
    scores = np.zeros(len(texts))
    for word in query.split():
        having = sum(1 for d in documents if word in d)
        idf = math.log1p((filled - having + 0.5) / (having + 0.5))
        for row, document in enumerate(documents):
            norm = K1 * (1 - B + B * document.total() / average_length)
            scores[row] += idf * document[word] / (document[word] + norm) if document[word] else 0
    return scores


def filled(texts: list[str], sizes: list[int], *, tail_rows: int = TAIL_ROWS) -> TextIndex:
    index, start = TextIndex(tail_rows=tail_rows), 0
    for size in sizes:
        index.append(texts[start : start + size])
        start += size
    index.append(texts[start:])
    return index


@pytest.mark.parametrize("tail_rows", [TAIL_ROWS, 4], ids=["in the tail", "in segments"])
class TestAgainstTheFormula:
    @given(TEXTS, QUERIES, st.lists(st.integers(0, 20), max_size=6))
    def test_scores_are_those_of_the_formula_however_rows_came(
        self, tail_rows: int, texts: list[str], query: str, sizes: list[int]
    ) -> None:
        index = filled(texts, sizes, tail_rows=tail_rows)
        average = float(index.stats()["average_length"])
        true_average = sum(len(t.split()) for t in texts) / max(1, sum(1 for t in texts if t))
        assert not any(texts) or abs(average / true_average - 1) <= 0.011
        assert len(index) == len(texts)
        np.testing.assert_allclose(index.scores(query), spelt_out(texts, query, average), rtol=1e-5)

    @given(TEXTS, QUERIES, st.integers(1, 70), st.randoms(use_true_random=False))
    def test_top_is_the_head_of_all_scores(
        self, tail_rows: int, texts: list[str], query: str, k: int, random: object
    ) -> None:
        index = filled(texts, [3, 5], tail_rows=tail_rows)
        rng = np.random.default_rng(random.randrange(2**32))  # type: ignore[attr-defined]
        for mask in (
            None,
            rng.random(len(texts)) < 0.5,
            rng.random(len(texts)) < 0.05,
            rng.random(len(texts) // 2) < 1,
        ):
            scores = index.scores(query)
            if mask is not None:
                allowed = np.zeros(len(texts), bool)
                allowed[: len(mask)] = mask
                scores = np.where(allowed, scores, 0)
            order = np.lexsort((np.arange(len(scores)), -scores))
            order = order[scores[order] > 0][:k]
            rows, values = index.top(query, k, mask)
            assert rows.tolist() == order.tolist()
            assert values.tolist() == scores[order].tolist()
            assert index.scores_of(query, rows).tolist() == values.tolist()

    @given(TEXTS, QUERIES)
    def test_loaded_index_answers_as_the_saved_one_and_grows_on(
        self, tail_rows: int, texts: list[str], query: str
    ) -> None:
        index = filled(texts, [7], tail_rows=tail_rows)
        with TemporaryDirectory() as folder:
            index.save(Path(folder))
            loaded = TextIndex.load(Path(folder))
        assert loaded.scores(query).tolist() == index.scores(query).tolist()
        for either in (index, loaded):
            either.append(["crane audit", "night"])
        np.testing.assert_allclose(loaded.scores(query), index.scores(query), rtol=1e-6)


def test_pruned_search_of_many_rows_is_exact() -> None:
    rng = np.random.default_rng(5)
    common = ["always", "often", "common"]
    texts = [
        " ".join([*rng.choice(common, rng.integers(1, 9)), *(f"rare{rng.integers(400)}" for _ in range(2))])
        for _ in range(9000)
    ]
    index = TextIndex()
    index.append(texts)
    for number in range(40):
        query = f"rare{number} rare{number + 100} always often common"
        scores = index.scores(query)
        order = np.lexsort((np.arange(len(scores)), -scores))[:10]
        rows, values = index.top(query, 10)
        assert rows.tolist() == order.tolist()
        assert values.tolist() == scores[order].tolist()


def test_reader_beside_the_writer_sees_whole_appends() -> None:
    index = TextIndex()
    is_done = threading.Event()
    problems: list[str] = []

    def read() -> None:
        seen = 0
        while not is_done.is_set():
            rows, _ = index.top("dock", 10_000)
            if len(rows) % 3 or len(rows) < seen or rows.tolist() != list(range(len(rows))):
                problems.append(f"{len(rows)} rows after {seen}")
            seen = len(rows)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(300):
        index.append(["dock", "dock", "dock"])
    is_done.set()
    for reader in readers:
        reader.join()
    assert problems == []
    assert len(index.top("dock", 10_000)[0]) == 900


def test_rows_that_are_not_there_are_refused() -> None:
    index = TextIndex()
    index.append(["one"])
    with pytest.raises(BadInput, match="rows run from 0 to 0"):
        index.scores_of("one", np.array([1]))


def test_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="build it from the texts"):
        TextIndex.load(tmp_path)
    (tmp_path / "postings.npz").write_bytes(b"no archive")
    with pytest.raises(BadInput, match="build it from the texts"):
        TextIndex.load(tmp_path)


def test_empty_index_answers_nothing() -> None:
    index = TextIndex()
    assert index.scores("one").tolist() == []
    assert index.top("one", 3)[0].tolist() == []
    index.append([None, ""])
    assert index.scores("one").tolist() == [0, 0]
    assert len(index) == 2
