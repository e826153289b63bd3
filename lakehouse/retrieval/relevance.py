"""The probability that a result is relevant, calibrated per corpus: scores of different corpora do not compare.

Belongs here: the model and its stored form. Not here: who fits it (see lakehouse/adapters/corpus_build.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.errors import BadInput

_ROUNDS = 50
_RIDGE = 1e-3


@dataclass(frozen=True, slots=True)
class RelevanceModel:
    """Logistic regression on one score: `1 / (1 + exp(−(slope · score + intercept)))` (Platt 1999)."""

    slope: float
    intercept: float

    @classmethod
    def fit(cls, relevant: NDArray[np.float32], irrelevant: NDArray[np.float32]) -> RelevanceModel:
        """Fit by Newton's method with a small ridge; both kinds weigh the same.

        Args:
            relevant: Scores of pairs that belong together.
            irrelevant: Scores of pairs that do not.

        Raises:
            BadInput: One of them is empty.
        """
        if not len(relevant) or not len(irrelevant):
            raise BadInput("a calibration needs scores of relevant and of irrelevant pairs")
        scores = np.concatenate([relevant, irrelevant]).astype(np.float64)
        labels = np.concatenate([np.ones(len(relevant)), np.zeros(len(irrelevant))])
        share = np.concatenate(
            [np.full(len(relevant), 0.5 / len(relevant)), np.full(len(irrelevant), 0.5 / len(irrelevant))]
        )
        design = np.stack([scores, np.ones_like(scores)], axis=1)
        weights = np.zeros(2)
        for _ in range(_ROUNDS):
            probability = _sigmoid(design @ weights)
            gradient = design.T @ (share * (probability - labels)) + _RIDGE * weights
            curvature = (design * (share * probability * (1 - probability))[:, None]).T @ design + _RIDGE * np.eye(2)
            weights -= np.linalg.solve(curvature, gradient)
        return cls(float(weights[0]), float(weights[1]))

    def probability(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probability for each score."""
        return np.asarray(_sigmoid(self.slope * scores.astype(np.float64) + self.intercept), np.float32)

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> RelevanceModel:
        """Read the stored form."""
        return cls(float(document["slope"]), float(document["intercept"]))


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -60, 60))))
