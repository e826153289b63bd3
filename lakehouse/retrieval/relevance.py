"""The probability that a result is relevant, calibrated per corpus: scores of different corpora do not compare.

The fused score cannot say it: the best candidate of any query, however far off, has a score of about 1. Two numbers
can, since they do not depend on the other candidates: the similarity of the vectors, and the *text share*, the row's
BM25 score over what all terms of the query weigh together (`TextIndex.term_weights`; terms that no row has weigh most).

A corpus is calibrated from itself, without labels. A few words of a row, taken out of it, are a query that the rest of
the row is relevant to, and that rows picked at random are not; where the sample has rows enough, the best of a handful
of random ones stands for what a search would show of nothing but chance.

Source: Lee, Chang & Toutanova 2019, Latent retrieval (inverse cloze pairs); Platt 1999 (logistic calibration).

Belongs here: the model, its fit, its stored form. Not here: who calibrates when (see
lakehouse/adapters/corpus_build.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.errors import BadInput
from lakehouse.retrieval.embedding import Embedder
from lakehouse.retrieval.text_index import TextIndex

Floats = NDArray[np.float32]

FORMAT_VERSION = 1
_ROUNDS = 50
_RIDGE = 1e-6
# What is assumed of a candidate before its scores are looked at; a threshold of the same keeps what they speak for.
PRIOR = 0.3
_SEED = 11
_SAMPLE_ROWS = 300
_QUERY_WORDS = (4, 12)
# Of a row so many times longer than the query, the vector of the whole stands for that of the rest.
_LONG = 6
# The mean probability of relevant rows less that of others; below, a threshold would drop by chance.
_LEAST_TOLD_APART = 0.02
# So many random rows a query, of which the best counts as irrelevant.
_RANDOM_ROWS = 4


@dataclass(frozen=True, slots=True)
class RelevanceModel:
    """Logistic regression: `1 / (1 + exp(−(similarity · s + text · t + intercept)))` for similarity s, text share t."""

    similarity: float
    text: float
    intercept: float

    @classmethod
    def fit(cls, relevant: tuple[Floats, Floats], irrelevant: tuple[Floats, Floats]) -> RelevanceModel:
        """Fit by Newton's method with a small ridge; of the weight the relevant pairs have `PRIOR`.

        More likeness never speaks against a row: a coefficient below 0 is noise, and the fit is done without it.

        Args:
            relevant: (n,) similarities and (n,) text shares of pairs that belong together.
            irrelevant: The same of pairs that do not.

        Raises:
            BadInput: One of them is empty.
        """
        counts = len(relevant[0]), len(irrelevant[0])
        if not all(counts):
            raise BadInput("a calibration needs relevant and irrelevant pairs")
        labels = np.repeat([1.0, 0.0], counts)
        share = np.repeat([PRIOR / counts[0], (1 - PRIOR) / counts[1]], counts)
        columns = [np.concatenate([a, b]).astype(np.float64) for a, b in zip(relevant, irrelevant, strict=True)]
        design = np.stack([*columns, np.ones(len(labels))], axis=1)
        used = np.ones(3, np.bool_)
        while True:
            weights = np.zeros(3)
            weights[used] = _logistic(design[:, used], labels, share)
            worst = int(np.argmin(weights[:2]))
            if weights[worst] >= 0:
                return cls(*(float(weight) for weight in weights))
            used[worst] = False

    def probability(self, similarity: Floats, text_share: Floats | None = None) -> Floats:
        """The probability for each row.

        Args:
            similarity: (n,) cosine of query and row.
            text_share: (n,) BM25 score over the query's whole weight; None in a corpus without text.
        """
        text = 0.0 if text_share is None else self.text * text_share.astype(np.float64)
        return np.asarray(_sigmoid(self.similarity * similarity.astype(np.float64) + text + self.intercept), np.float32)

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "format_version": FORMAT_VERSION,
            "similarity": self.similarity,
            "text": self.text,
            "intercept": self.intercept,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> RelevanceModel:
        """Read the stored form.

        Raises:
            BadInput: It is of another format; the next build of the corpus calibrates anew.
        """
        if document.get("format_version") != FORMAT_VERSION:
            raise BadInput(
                f"a calibration has format {FORMAT_VERSION}, not {document.get('format_version')!r}; rebuild"
            )
        return cls(float(document["similarity"]), float(document["text"]), float(document["intercept"]))


def _logistic(
    design: NDArray[np.float64], labels: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    weights = np.zeros(design.shape[1])
    for _ in range(_ROUNDS):
        probability = _sigmoid(design @ weights)
        gradient = design.T @ (share * (probability - labels)) + _RIDGE * weights
        curvature = (design * (share * probability * (1 - probability))[:, None]).T @ design
        weights -= np.linalg.solve(curvature + _RIDGE * np.eye(len(weights)), gradient)
    return weights


def stored_calibration(info: Mapping[str, Any]) -> RelevanceModel | None:
    """The calibration in a table's info; None where there is none, or one of another format."""
    stored = info.get("calibration")
    if not stored or stored.get("format_version") != FORMAT_VERSION:
        return None
    return RelevanceModel.from_json(stored)


def calibrate(vectors: Floats, texts: Sequence[str], embedder: Embedder) -> dict[str, Any]:
    """Calibrate a corpus from some of its rows.

    Args:
        vectors: (n, dimension) embeddings of the rows, of unit length.
        texts: (n,) their texts.
        embedder: What made the vectors.

    Returns:
        The stored form of a `RelevanceModel`; empty when fewer than two different rows have words enough, or the
        sample does not tell relevant rows from others: rows that are much alike are relevant to one another.
    """
    chance = np.random.default_rng(_SEED)
    different = dict(zip(reversed(texts), range(len(texts) - 1, -1, -1), strict=True))
    chosen = sorted(n for text, n in different.items() if len(text.split()) > _QUERY_WORDS[0])
    chosen = sorted(chance.permutation(chosen)[:_SAMPLE_ROWS].astype(int).tolist())
    if len(chosen) < 2:
        return {}
    pairs = [_cloze(texts[n], chance) for n in chosen]
    queries = embedder.embed([query for query, _ in pairs])
    rests = np.array(vectors[chosen], np.float32)
    short = [at for at, (query, rest) in enumerate(pairs) if len(rest.split()) < _LONG * len(query.split())]
    if short:
        rests[short] = embedder.embed([pairs[at][1] for at in short])
    index = TextIndex()
    index.append([rest for _, rest in pairs])
    shares = np.stack([_text_share(index, query) for query, _ in pairs])
    likeness = queries @ rests.T
    own = np.arange(len(chosen))
    others = (own[:, None] + chance.integers(1, len(own), (len(own), _RANDOM_ROWS))) % len(own)
    best = others[own, np.take_along_axis(likeness + shares, others, 1).argmax(axis=1)]
    relevant, irrelevant = (likeness[own, own], shares[own, own]), (likeness[own, best], shares[own, best])
    model = RelevanceModel.fit(relevant, irrelevant)
    told_apart = float(model.probability(*relevant).mean() - model.probability(*irrelevant).mean())
    return model.to_json() if told_apart >= _LEAST_TOLD_APART else {}


def _cloze(text: str, chance: np.random.Generator) -> tuple[str, str]:
    """Some words of a text in a row, and what is left; of a short text half."""
    words = text.split()
    length = min(int(chance.integers(*_QUERY_WORDS, endpoint=True)), len(words) // 2)
    start = int(chance.integers(len(words) - length + 1))
    return " ".join(words[start : start + length]), " ".join(words[:start] + words[start + length :])


def _text_share(index: TextIndex, query: str) -> Floats:
    weight = sum(index.term_weights(query).values())
    return index.scores(query) / np.float32(max(weight, 1e-6))


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -60, 60))))
