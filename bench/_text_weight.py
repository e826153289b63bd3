"""The weight of the text score that outcomes would choose, to be held against the default one (see learning.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lakehouse.errors import BadInput
from lakehouse.retrieval.evaluation import ndcg
from lakehouse.retrieval.fusion import fuse

_STEPS = 20


@dataclass(frozen=True, slots=True)
class Judged:
    """The candidates of a query, and which of them outcomes say are right: (n,) each."""

    similarity: NDArray[np.float32]
    text_score: NDArray[np.float32]
    is_right: NDArray[np.bool_]


def learn_weight(judged: Sequence[Judged]) -> float:
    """The share of the text score that ranks what outcomes call right the highest, by the mean nDCG@10.

    Of shares in steps of 0.05 the mean is smoothed over neighbours, since single queries make it ragged.

    Raises:
        BadInput: No query has anything right among its candidates.
    """
    usable = [one for one in judged if one.is_right.any()]
    if not usable:
        raise BadInput("a weight is learned from queries whose right answer is among the candidates; there are none")
    means = np.array([np.mean([_quality(one, step / _STEPS) for one in usable]) for step in range(_STEPS + 1)])
    smooth = np.convolve(np.pad(means, 1, mode="edge"), np.full(3, 1 / 3), mode="valid")
    return int(np.argmax(smooth)) / _STEPS


def _quality(judged: Judged, weight: float) -> float:
    order = np.argsort(-fuse(judged.similarity, judged.text_score, weight=weight), kind="stable")
    right = np.flatnonzero(judged.is_right)
    return ndcg(order[:10].tolist(), dict.fromkeys(right.tolist(), 1.0))
