"""Adding up what the terms of a query give to rows, and taking the best.

Belongs here: clauses, sums over all rows or some, pruning by bounds, ties. Not here: where postings come from (see
text_index.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lakehouse.retrieval.text_segment import Postings

_GROUP = 32
# Looking up a row in a list costs as much as reading so many of the list.
_LOOK_UP_COST = 40


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
    factor = np.float32(times * rarity(having, rows))
    # A hair above what single precision may round a sum to.
    return Clause(factor, postings, float(factor) * max(p.max_weight for p in postings) * (1 + 1e-5))


def rarity(having: int, rows: int) -> float:
    """What a term weighs that `having` of `rows` rows have (BM25's inverse document frequency)."""
    return math.log1p((rows - having + 0.5) / (having + 0.5))


def add(clause: Clause, scores: NDArray[np.float32]) -> None:
    """Add what a term gives to the scores of all rows, in place."""
    for postings in clause.postings:
        np.add.at(scores, postings.rows, postings.weights() * clause.factor)


def look_up(clause: Clause, rows: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
    """Add what a term gives to the scores of some rows, in place."""
    wanted = rows.astype(np.int32)
    for postings in clause.postings:
        at = np.minimum(np.searchsorted(postings.rows, wanted), len(postings.rows) - 1)
        is_there = postings.rows[at] == wanted
        scores[is_there] += postings.weights_at(at[is_there]) * clause.factor


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


def is_cheap(rows: int, clauses: Sequence[Clause]) -> bool:
    """True when looking so many rows up costs less than reading the lists."""
    return _LOOK_UP_COST * rows * len(clauses) < sum(clause.rows for clause in clauses)


def contenders(
    scores: NDArray[np.float32], allowed: NDArray[np.int64] | None, k: int, *, remaining: float
) -> NDArray[np.int64] | None:
    """The rows that may be among the best k, or nothing when a row without a score may be.

    Args:
        scores: What each row has so far.
        allowed: The rows that count; all when None.
        k: How many are wanted.
        remaining: The most that terms still to come can add.
    """
    values = scores if allowed is None else scores[allowed]
    threshold = kth_at_least(values, k)
    if threshold <= remaining:
        return None
    found = np.flatnonzero(values >= np.float32(threshold - remaining))
    return found if allowed is None else allowed[found]


def best_among(
    rows: NDArray[np.int64], scores: NDArray[np.float32], clauses: Sequence[Clause], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The best k of some rows, once these clauses are added to the scores they have."""
    for clause in clauses:
        look_up(clause, rows, scores)
    return best_of(rows, scores, k)
