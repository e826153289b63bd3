"""Calibration of relevance: what it learns from pairs and from a corpus alone, and its stored form."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from lakehouse.errors import BadInput
from lakehouse.retrieval.relevance import PRIOR, RelevanceModel, calibrate, stored_calibration
from lakehouse.retrieval.text_index import TextIndex

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
    return [" ".join(rng.choice(words, 30)) for words in TOPICS.values() for _ in range(40)]


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


def test_calibration_repeats() -> None:
    texts, embedder = documents(), WordsEmbedder()
    assert calibrate(embedder.embed(texts), texts, embedder) == calibrate(embedder.embed(texts), texts, embedder)


def test_corpus_of_a_few_words_is_not_calibrated() -> None:
    embedder = WordsEmbedder()
    assert calibrate(embedder.embed(["one", ""]), ["one", ""], embedder) == {}
    assert calibrate(embedder.embed([]), [], embedder) == {}


def test_other_format_and_no_pairs_are_refused() -> None:
    with pytest.raises(BadInput, match="format 1"):
        RelevanceModel.from_json({"format_version": 9})
    empty = np.empty(0, np.float32)
    with pytest.raises(BadInput, match="relevant and irrelevant"):
        RelevanceModel.fit((empty, empty), pairs(0.1, 0.1))


def test_calibration_of_another_format_is_none() -> None:
    model = RelevanceModel(1.0, 2.0, 3.0)
    assert stored_calibration({"calibration": model.to_json()}) == model
    assert stored_calibration({"calibration": {"format_version": 9}}) is None
    assert stored_calibration({"calibration": {}}) is None
    assert stored_calibration({}) is None


def test_more_likeness_never_speaks_against_a_row() -> None:
    low, high = np.array([0.1, 0.2, 0.3], np.float32), np.array([0.7, 0.8, 0.9], np.float32)
    model = RelevanceModel.fit((low, high), (high, low))
    assert (model.similarity, model.text > 0) == (0.0, True)
