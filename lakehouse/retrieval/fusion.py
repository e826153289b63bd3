"""Putting the vector score and the text score of candidates into one.

Belongs here: normalisation and combination. Not here: where candidates come from (see matrix.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_TINY = np.float32(1e-6)


def fuse(similarity: NDArray[np.float32], text_score: NDArray[np.float32], *, weight: float) -> NDArray[np.float32]:
    """A convex combination of both scores, each divided by the best one of the candidates.

    Args:
        similarity: Cosine of each candidate, or another similarity whose best value is positive; below 0 counts as 0.
        text_score: BM25 score of each candidate, 0 or more.
        weight: Share of the text score, 0 to 1.

    Returns:
        Scores from 0 to 1.

    Source:
        Bruch, Gai & Ingber 2023, An Analysis of Fusion Functions for Hybrid Retrieval (theoretical min-max, with 0 as
        the least value of both).
    """
    text = text_score / max(text_score.max(initial=0), _TINY)
    vector = np.maximum(similarity, 0) / max(similarity.max(initial=0), _TINY)
    return np.asarray((1 - weight) * vector + weight * text, np.float32)
