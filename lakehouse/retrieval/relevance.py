"""The probability that a result is relevant, calibrated per corpus: scores of different corpora do not compare.

The fused score cannot say it: the best candidate of any query, however far off, has a score of about 1. Two numbers
can, since they do not depend on the other candidates: the similarity of the vectors, and the *text share*, the row's
BM25 score over what all terms of the query weigh together (`TextIndex.term_weights`; terms that no row has weigh most).

A corpus's own calibration is made of its texts (see calibration.py). Where it has none, and for what its own does not
say, that of its embedder counts, which was made once of judged collections: cosines of one embedder mean about the
same in all of them (docs/decisions/0022-relevance-is-calibrated-without-labels.md).

Source: Platt 1999 (logistic calibration).

Belongs here: the model, its fit, its stored form, those of embedders. Not here: how a corpus calibrates itself (see
calibration.py), who does so when (see lakehouse/adapters/corpus_build.py, calibrator.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lakehouse.errors import BadInput

Floats = NDArray[np.float32]

FORMAT_VERSION = 1
_ROUNDS = 50
_RIDGE = 1e-6
# The probability assumed before the scores are known; a threshold of this value keeps what the scores speak for.
PRIOR = 0.3
# For each embedder its dimension, and similarity and intercept of the model; made by bench/_relevance.py.
OF_EMBEDDERS: Mapping[str, tuple[int, float, float]] = {
    "minilm": (384, 7.949, -3.244),
    "static": (256, 10.603, -3.943),
}


@dataclass(frozen=True, slots=True)
class RelevanceModel:
    """Logistic regression: `1 / (1 + exp(−(similarity · s + text · t + intercept)))` for similarity s, text share t.

    `alone` are similarity and intercept for searches that know no text shares; None: it says nothing about those.
    """

    similarity: float
    text: float
    intercept: float
    alone: tuple[float, float] | None = None

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
                return cls(float(weights[0]), float(weights[1]), float(weights[2]))
            used[worst] = False

    def probability(self, similarity: Floats, text_share: Floats) -> Floats:
        """The probability for each row.

        Args:
            similarity: (n,) cosine of query and row.
            text_share: (n,) BM25 score over the query's whole weight.
        """
        text = self.text * text_share.astype(np.float64)
        return np.asarray(_sigmoid(self.similarity * similarity.astype(np.float64) + text + self.intercept), np.float32)

    def probability_alone(self, similarity: Floats) -> Floats | None:
        """The probability for each row by its cosine alone, (n,); None where the model says nothing about that."""
        if self.alone is None:
            return None
        slope, intercept = self.alone
        return np.asarray(_sigmoid(slope * similarity.astype(np.float64) + intercept), np.float32)

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "format_version": FORMAT_VERSION,
            "similarity": self.similarity,
            "text": self.text,
            "intercept": self.intercept,
            "alone": None if self.alone is None else list(self.alone),
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
        alone = document.get("alone")
        return cls(
            float(document["similarity"]),
            float(document["text"]),
            float(document["intercept"]),
            None if alone is None else (float(alone[0]), float(alone[1])),
        )


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


def embedder_calibration(embedder: str, dimension: int) -> RelevanceModel | None:
    """The calibration of an embedder's vectors, of cosines alone; None for one that was never judged.

    Args:
        embedder: Its name, as a corpus stores it.
        dimension: Of the vectors; those of another length are not its own.
    """
    own, slope, intercept = OF_EMBEDDERS.get(embedder, (0, 0.0, 0.0))
    return RelevanceModel(slope, 0.0, intercept, alone=(slope, intercept)) if dimension == own else None


def calibration_of(info: Mapping[str, Any]) -> RelevanceModel | None:
    """What judges the rows of a corpus: its own calibration, and for what that does not say its embedder's.

    Args:
        info: What its table says of itself.

    Returns:
        None where nothing can: in a corpus whose vectors are not compared by cosines, or of an embedder that was never
        judged while it has no calibration of its own.
    """
    if info.get("distance", "cosine") != "cosine":
        return None
    own = stored_calibration(info)
    general = embedder_calibration(str(info.get("embedder")), int(info["dimension"]))
    if own is None or own.alone is not None or general is None:
        return own or general
    return replace(own, alone=general.alone)


def calibration_kind(info: Mapping[str, Any]) -> Literal["own", "embedder", "none"]:
    """Whose calibration judges the rows of a corpus; see `calibration_of`."""
    if calibration_of(info) is None:
        return "none"
    return "embedder" if stored_calibration(info) is None else "own"


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -60, 60))))
