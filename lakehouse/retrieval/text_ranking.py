"""Adding up what the terms of a query give to rows, and taking the best.

Belongs here: clauses, sums over all rows or some, pruning by bounds, ties. Not here: where postings come from (see
text_index.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lakehouse.retrieval.text_segment import Postings

_GROUP = 32


@dataclass(frozen=True, slots=True)
class Clause:
    """A term of a query: what its weights are multiplied with, its postings, and the most it can add to a row."""

    factor: np.float32
    postings: tuple[Postings, ...]
    bound: float

    @property
    def rows(self) -> int:
        """How many rows have the term."""
        return sum(len(p.rows) for p in self.postings)


def clause_of(times: int, postings: tuple[Postings, ...], *, rows: int) -> Clause:
    """The clause of a term.

    Args:
        times: How often it stands in the query.
        postings: Where it stands in the index, at least once.
        rows: Rows of the index that have any term.
    """
    having = sum(len(p.rows) for p in postings)
    factor = np.float32(times * math.log1p((rows - having + 0.5) / (having + 0.5)))
    # A hair above what single precision may round a sum to.
    return Clause(factor, postings, float(factor) * max(p.max_weight for p in postings) * (1 + 1e-5))


def add(clause: Clause, scores: NDArray[np.float32]) -> None:
    """Add what a term gives to the scores of all rows, in place."""
    for postings in clause.postings:
        np.add.at(scores, postings.rows, postings.weights * clause.factor)


def look_up(clause: Clause, rows: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
    """Add what a term gives to the scores of some rows, in place."""
    wanted = rows.astype(np.int32)
    for postings in clause.postings:
        at = np.minimum(np.searchsorted(postings.rows, wanted), len(postings.rows) - 1)
        is_there = postings.rows[at] == wanted
        scores[is_there] += postings.weights[at[is_there]] * clause.factor


def kth_at_least(scores: NDArray[np.float32], k: int) -> float:
    """A bound that at least k scores reach, found in one pass: the k-th largest of the largest of each group."""
    groups = len(scores) // _GROUP
    if groups < k:
        return 0.0
    # A group lies across the array, not along it: so the maximum is taken of whole rows at once.
    most = scores[: groups * _GROUP].reshape(_GROUP, groups).max(axis=0)
    return float(np.partition(most, len(most) - k)[len(most) - k])


def best_of(
    rows: NDArray[np.int64], scores: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The best k and their scores, best first, the lower row first where scores are equal.

    Args:
        rows: Row numbers in ascending order.
        scores: What each has; only those above 0 count.
        k: How many at most.
    """
    kth = np.partition(scores, len(scores) - k)[len(scores) - k] if len(scores) > k else np.float32(0)
    better = np.flatnonzero(scores > kth)
    # As many as are missing of those that have the very same score.
    equal = np.flatnonzero(scores == kth)[: k - len(better)] if kth > 0 else better[:0]
    chosen = np.concatenate([better, equal])
    order = chosen[np.argsort(-scores[chosen], kind="stable")]
    return rows[order], scores[order]
