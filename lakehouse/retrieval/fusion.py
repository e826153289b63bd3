"""Putting the vector score and the text score of candidates into one.

Belongs here: normalisation, combination, ranks. Not here: where candidates come from (see
matrix.py), which weight a corpus has (see search_config.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Chosen on Cranfield's even queries and O*NET's recorded titles (docs/decisions/0020-hybrid-scores-are-a-sum.md).
TEXT_WEIGHT = 0.3
RRF_K = 60
_TINY = np.float32(1e-6)


def fuse(similarity: NDArray[np.float32], text_score: NDArray[np.float32], *, weight: float) -> NDArray[np.float32]:
    """A convex combination of both scores, each divided by the best one of the candidates.

    Candidates are the best by either score, with the exact other score filled in: then the best of them are what a
    combination of the scores of all rows would give, but for rows that are good in neither list.

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


def fuse_ranks(*scores: NDArray[np.float32], k: int = RRF_K) -> NDArray[np.float32]:
    """Reciprocal-rank fusion, for scores that do not compare: the sum of `1 / (k + rank)`, best rank 1.

    Args:
        scores: (n,) each, one a list; higher is better. Equal scores are ranked in the order of the candidates.
        k: How little the first ranks stand out.

    Source:
        Cormack, Clarke & Büttcher 2009, Reciprocal Rank Fusion outperforms Condorcet and individual rank learning.
    """
    fused = np.zeros(len(scores[0]), np.float32)
    for one in scores:
        ranks = np.empty(len(one), np.float32)
        ranks[np.argsort(-one, kind="stable")] = np.arange(1, len(one) + 1)
        fused += 1 / (k + ranks)
    return fused


def across_corpora(fused: NDArray[np.float32], similarity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fused scores of one corpus made comparable with those of others by the same embedder.

    A fused score says how good a candidate is among those of its corpus; the square of the best cosine says how much
    the corpus has to say. The order within the corpus stays as it is.

    Args:
        fused: (n,) from `fuse`.
        similarity: (n,) cosines of the same candidates.
    """
    best = float(np.clip(similarity.max(initial=0), 0, 1))
    return np.asarray(fused * np.float32(best * best), np.float32)
