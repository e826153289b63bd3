"""The second look at the best candidates: who it moves, what it leaves as it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from lakehouse.adapters.corpus_reader import CorpusReader
from lakehouse.retrieval.matrix import Ask, Found, find
from lakehouse.retrieval.rerank import Reranker, best_of, rerank_scores
from tests.fakes.corpus_views import corpus_of

pytestmark = pytest.mark.anyio
ASK = Ask("night nurse", 3, 50, "vector", {})
QUERY = np.array([1, 0], np.float32)
BETTER = {"night nurse": 0.0, "nurse at night": 0.1, "night watch": 1.2, "day nurse": 0.8}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def floats(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def reranked(scores: NDArray[np.float32], similarity: NDArray[np.float32], weight: float = 1.0) -> list[float]:
    best = best_of(scores, len(similarity))
    return [round(float(s), 4) for s in rerank_scores(scores, best, similarity, weight=weight)]


def test_better_similarity_decides_the_order_of_the_best() -> None:
    # In the order of `best_of`: candidates 1, 2, 0.
    new = reranked(floats(0.5, 0.9, 0.7, 0.2), floats(0.1, 0.2, 0.8))
    assert np.argsort([-s for s in new]).tolist() == [0, 2, 1, 3]


def test_best_score_stays_and_others_stay_behind() -> None:
    new = reranked(floats(0.5, 0.9, 0.7, 0.2), floats(0.0, 0.2, 0.8))
    assert max(new) == pytest.approx(0.9)
    assert new[3] == pytest.approx(0.2)
    assert min(new[:3]) >= new[3]


def test_weight_says_how_much_the_first_score_still_counts() -> None:
    scores, similarity = floats(0.9, 0.8), floats(0.5, 1.0)
    assert reranked(scores, similarity, weight=0.0) == pytest.approx([0.9, 0.8])
    assert np.argmax(reranked(scores, similarity, weight=0.1)) == 0
    assert np.argmax(reranked(scores, similarity, weight=0.9)) == 1


def test_distances_turned_round_are_ranked_too() -> None:
    new = reranked(floats(-1.0, -2.0, -9.0), floats(0.1, 0.9))
    assert new[1] == pytest.approx(-1.0)
    assert new[1] > new[0] >= new[2] == -9.0


def test_equal_first_scores_leave_it_to_the_second() -> None:
    new = reranked(floats(0.5, 0.5, 0.5), floats(0.2, 0.9))
    assert new[1] > new[0]
    assert np.isfinite(new).all()


@pytest.mark.parametrize("similarity", [floats(0, 0), floats(-0.5, -0.1)])
def test_candidates_that_are_nothing_alike_give_finite_scores(similarity: NDArray[np.float32]) -> None:
    assert np.isfinite(reranked(floats(0.5, 0.4, 0.1), similarity)).all()
    assert np.isfinite(reranked(floats(0, 0, 0), similarity)).all()


class Better:
    """An embedder on a circle that knows some texts; keeps what it was asked."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def query(self, name: str, text: str) -> tuple[NDArray[np.float32], bool]:
        assert name == "better"
        return self._at(text), False

    async def of(self, embedder: str, texts: Sequence[str]) -> NDArray[np.float32]:
        assert embedder == "better"
        self.texts += texts
        return np.stack([self._at(text) for text in texts])

    def _at(self, text: str) -> NDArray[np.float32]:
        return floats(np.cos(BETTER[text]), np.sin(BETTER[text]))


def corpus(*texts: str, reranker: str | None = "better") -> CorpusReader:
    angles = np.linspace(0.1, 0.5, len(texts))
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    view = corpus_of("a", [f"a{n}" for n in range(len(texts))], texts, vectors)
    return replace(view, info={**view.info, "rerank_embedder": reranker})


def found_in(view: CorpusReader, ask: Ask = ASK) -> Found:
    return find(view, ask, None if ask.mode == "text" else QUERY, view.select())


def order(found: Found) -> list[str]:
    return found.corpus.ids_of(found.rows[best_of(found.scores, len(found.rows))])


async def test_corpus_with_a_better_embedder_is_ranked_again() -> None:
    better, found = Better(), found_in(corpus("night watch", "day nurse", "nurse at night"))
    assert order(found) == ["a0", "a1", "a2"]
    await Reranker(better.query, better).rerank([found], ASK, top=3, weight=1.0)
    assert order(found) == ["a2", "a1", "a0"]


async def test_only_the_best_are_looked_at() -> None:
    better, found = Better(), found_in(corpus("night watch", "day nurse", "nurse at night"))
    await Reranker(better.query, better).rerank([found], ASK, top=2, weight=1.0)
    assert better.texts == ["night watch", "day nurse"]
    assert order(found) == ["a1", "a0", "a2"]


async def test_row_without_text_counts_as_nothing_alike() -> None:
    better, found = Better(), found_in(corpus(" ", "nurse at night", "night watch"))
    await Reranker(better.query, better).rerank([found], ASK, top=2, weight=1.0)
    assert better.texts == ["nurse at night"]
    assert order(found)[0] == "a1"


@pytest.mark.parametrize(
    ("top", "weight", "mode", "name"),
    [(0, 1.0, "vector", "better"), (5, 0.0, "vector", "better"), (5, 1.0, "text", "better"), (5, 1.0, "vector", None)],
)
async def test_nothing_is_asked_where_nothing_is_wanted(top: int, weight: float, mode: str, name: str | None) -> None:
    ask = msgspec.structs.replace(ASK, mode=mode)
    better, found = Better(), found_in(corpus("night watch", "nurse at night", reranker=name), ask)
    before = found.scores.tolist()
    await Reranker(better.query, better).rerank([found], ask, top=top, weight=weight)
    assert (found.scores.tolist(), better.texts) == (before, [])
