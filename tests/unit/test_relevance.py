"""Calibration of relevance: what it learns from pairs and from a corpus alone, and its stored form."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from lakehouse.errors import BadInput
from lakehouse.retrieval.calibration import calibrate, has_texts_enough, is_due, take_apart, unjudged
from lakehouse.retrieval.relevance import (
    OF_EMBEDDERS,
    PRIOR,
    RelevanceModel,
    calibration_kind,
    calibration_of,
    embedder_calibration,
    stored_calibration,
)
from lakehouse.retrieval.text_index import TextIndex
from tests.fakes.corpus_views import corpus_of

TOPICS = {
    "nurse": [
        "ward",
        "patient",
        "night",
        "medication",
        "charting",
        "triage",
        "infusion",
        "vitals",
        "discharge",
        "bedside",
    ],
    "welder": ["torch", "seam", "steel", "grinder", "fillet", "argon", "plate", "fixture", "rod", "bead"],
    "clerk": ["ledger", "invoice", "filing", "keyboard", "mail", "receipt", "payroll", "audit", "folder", "stamp"],
}


class WordsEmbedder:
    """Counts of words in 64 buckets: texts with the same words are near."""

    name = "words"
    dimension = 64

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.full((len(texts), self.dimension), 1e-3, np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.split():
                row[sum(word.encode()) % self.dimension] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def documents() -> list[str]:
    rng = np.random.default_rng(0)
    of_each = [rng.choice(words, 7, replace=False) for words in TOPICS.values() for _ in range(40)]
    return [" ".join(rng.choice(words, 30)) for words in of_each]


def pairs(similarity: float, share: float, count: int = 50) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(int(100 * similarity))
    noise = rng.normal(0, 0.1, (2, count))
    return np.float32(similarity) + noise[0].astype(np.float32), np.float32(share) + noise[1].astype(np.float32)


def test_probability_rises_with_both_numbers_and_is_the_prior_between_the_kinds() -> None:
    model = RelevanceModel.fit(pairs(0.7, 0.5), pairs(0.2, 0.1))
    low, middle, high = model.probability(np.float32([0.2, 0.45, 0.7]), np.float32([0.1, 0.3, 0.5]))
    assert low < 0.05 < middle < 0.95 < high
    assert model.similarity > 0
    assert model.text > 0
    # Nothing to tell them apart: what was assumed before.
    blank = RelevanceModel.fit(pairs(0.5, 0.5), pairs(0.5, 0.5))
    assert blank.probability(np.float32([0.5]), np.float32([0.5]))[0] == pytest.approx(PRIOR, abs=0.02)


def test_kinds_that_a_line_parts_do_not_blow_up() -> None:
    model = RelevanceModel.fit((np.float32([0.9]), np.float32([0.9])), (np.float32([0.1]), np.float32([0.1])))
    assert np.isfinite([model.similarity, model.text, model.intercept]).all()


def test_corpus_alone_teaches_what_is_on_topic() -> None:
    texts, embedder = documents(), WordsEmbedder()
    vectors = embedder.embed(texts)
    model = RelevanceModel.from_json(json.loads(json.dumps(calibrate(vectors, texts, embedder))))
    index = TextIndex()
    index.append(texts)

    def best(query: str) -> float:
        shares = index.scores(query) / sum(index.term_weights(query).values())
        return float(model.probability(vectors @ embedder.embed([query])[0], shares).max())

    assert best("patient triage at night on the ward") > PRIOR
    assert best("sonnet quartet glacier volcano umbrella") < PRIOR


def test_all_rows_that_are_given_count() -> None:
    rng, embedder = np.random.default_rng(1), WordsEmbedder()
    texts = [" ".join([f"row{n}", *rng.choice(TOPICS["welder"], 9)]) for n in range(700)]
    taken = take_apart(embedder.embed(texts), texts, embedder)
    assert taken is not None
    assert taken.likeness.shape == taken.shares.shape == (700, 700)
    relevant, irrelevant = taken.pairs(counts_text=True)
    assert len(relevant[0]) == len(relevant[1]) == 700
    assert len(irrelevant[0]) == len(irrelevant[1]) == 700 * 16  # the best of each draw
    assert not (taken.others == np.arange(700)[:, None, None]).any()


def test_calibration_repeats() -> None:
    texts, embedder = documents(), WordsEmbedder()
    assert calibrate(embedder.embed(texts), texts, embedder) == calibrate(embedder.embed(texts), texts, embedder)


def test_cosines_alone_are_calibrated_beside_both_and_by_themselves_where_texts_are_missing() -> None:
    texts, embedder = documents(), WordsEmbedder()
    vectors = embedder.embed(texts)
    both = RelevanceModel.from_json(calibrate(vectors, texts, embedder))
    alone = RelevanceModel.from_json(calibrate(vectors, texts, embedder, counts_text=False))
    assert (both.text > 0, alone.text) == (True, 0.0)
    assert both.alone == alone.alone == (alone.similarity, alone.intercept)
    near, far = both.probability_alone(np.float32([0.9, 0.0]))  # type: ignore[misc]
    assert near > PRIOR > far


@pytest.mark.parametrize("texts", [[], ["one", ""], ["the same five words here"] * 50, ["too few words"] * 50])
def test_corpus_of_a_few_texts_is_not_calibrated_and_says_why(texts: list[str]) -> None:
    embedder = WordsEmbedder()
    assert "fewer than 20 different items" in calibrate(embedder.embed(texts), texts, embedder)["reason"]
    assert not has_texts_enough(texts)


def test_texts_that_share_nothing_with_their_own_parts_are_not_calibrated() -> None:
    rng, embedder = np.random.default_rng(0), WordsEmbedder()
    words = [f"w{n}" for n in range(5_000)]
    texts = [" ".join(rng.choice(words, 8)) for _ in range(50)]
    assert has_texts_enough(texts)
    assert "too much alike, or too short" in calibrate(embedder.embed(texts), texts, embedder)["reason"]


def test_other_format_and_no_pairs_are_refused() -> None:
    with pytest.raises(BadInput, match="format 1"):
        RelevanceModel.from_json({"format_version": 9})
    empty = np.empty(0, np.float32)
    with pytest.raises(BadInput, match="relevant and irrelevant"):
        RelevanceModel.fit((empty, empty), pairs(0.1, 0.1))


def test_calibration_of_another_format_is_none() -> None:
    model = RelevanceModel(1.0, 2.0, 3.0, alone=(4.0, 5.0))
    assert stored_calibration({"calibration": json.loads(json.dumps(model.to_json()))}) == model
    assert stored_calibration({"calibration": {"reason": "too few", "rows": 9}}) is None
    assert stored_calibration({"calibration": {"format_version": 9}}) is None
    assert stored_calibration({"calibration": {}}) is None
    assert stored_calibration({}) is None


def test_more_likeness_never_speaks_against_a_row() -> None:
    low, high = np.array([0.1, 0.2, 0.3], np.float32), np.array([0.7, 0.8, 0.9], np.float32)
    model = RelevanceModel.fit((low, high), (high, low))
    assert (model.similarity, model.text > 0) == (0.0, True)


OWN = {"format_version": 1, "similarity": 1.0, "text": 2.0, "intercept": 3.0}


def test_own_calibration_counts_before_that_of_the_embedder() -> None:
    minilm = {"embedder": "minilm", "dimension": 384}
    general = embedder_calibration("minilm", 384)
    assert general is not None
    assert (384, *(general.alone or ())) == OF_EMBEDDERS["minilm"]
    assert general.text == 0
    assert calibration_of(minilm) == general
    assert calibration_of({**minilm, "calibration": {"reason": "too few"}}) == general
    # Of an earlier build: it says nothing about cosines alone.
    old = calibration_of({**minilm, "calibration": OWN})
    assert old == RelevanceModel(1.0, 2.0, 3.0, alone=general.alone)
    own = calibration_of({**minilm, "calibration": {**OWN, "alone": [4.0, 5.0]}})
    assert own == RelevanceModel(1.0, 2.0, 3.0, alone=(4.0, 5.0))
    elsewhere = calibration_of({"embedder": "vllm/e5", "dimension": 384, "calibration": OWN})
    assert elsewhere == RelevanceModel(1.0, 2.0, 3.0)
    assert elsewhere.probability_alone(np.float32([1])) is None
    nothing: list[dict[str, object]] = [
        {"embedder": "vllm/e5"},
        {"dimension": 3},
        {"distance": "l2", "calibration": OWN},
    ]
    assert [calibration_of({**minilm, **change}) for change in nothing] == [None] * 3
    kinds = [calibration_kind({**minilm, **c}) for c in ({}, {"calibration": OWN}, {"dimension": 3})]  # type: ignore[dict-item]
    assert kinds == ["embedder", "own", "none"]


def test_index_is_due_with_texts_enough_and_again_when_its_size_is_another() -> None:
    index = {"kind": "index", "embedder": "minilm"}
    assert [is_due(index, rows) for rows in (0, 19, 20, 10**6)] == [False, False, True, True]
    done = {**index, "calibration": {**OWN, "rows": 100}}
    assert [is_due(done, rows) for rows in (50, 51, 100, 199, 200)] == [True, False, False, False, True]
    assert not is_due({**index, "calibration": {"reason": "too few", "rows": 100}}, 150)
    assert is_due({**index, "calibration": {"reason": "too few", "rows": 100}}, 200)
    assert not is_due({**index, "kind": "corpus"}, 1000)
    assert not is_due({**index, "distance": "dot"}, 1000)


def test_what_no_threshold_judges_is_said_with_its_reason() -> None:
    vectors = np.eye(3, dtype=np.float32)

    def said(mode: str, **corpus: object) -> str | None:
        view = corpus_of("c", ["a", "b", "c"], ["x"] * 3, vectors, **corpus)  # type: ignore[arg-type]
        return unjudged(view, mode)  # type: ignore[arg-type]

    model = RelevanceModel(1.0, 1.0, 1.0, alone=(1.0, 1.0))
    assert said("hybrid", calibration=model) is said("vector", calibration=model) is None
    assert "no vectors" in str(said("text", calibration=model))
    assert "distance is l2" in str(said("hybrid", distance="l2"))
    assert "not calibrated" in str(said("hybrid"))
    assert "embedder 'fake'" in str(said("hybrid"))
    half = RelevanceModel(1.0, 1.0, 1.0)
    assert said("hybrid", calibration=half) is None
    assert "cosines alone" in str(said("vector", calibration=half))
