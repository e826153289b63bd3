"""How good rankings are, and how sure one can be of it: nDCG, recall, top-1, paired bootstrap intervals.

Belongs here: measures of one ranking, means with intervals. Not here: running searches (see bench/learning.py), arms of
live traffic (see playbook_desk.py).
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lakehouse.errors import BadInput

_Id = TypeVar("_Id", bound=Hashable)
SAMPLES = 10_000
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the ends of its confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """True when the whole interval lies on one side of 0."""
        return self.low > 0 or self.high < 0


def ndcg(ranked: Sequence[_Id], gains: Mapping[_Id, float], *, k: int = 10) -> float:
    """Normalised discounted cumulative gain of the first k, 0 to 1.

    Args:
        ranked: Ids, best first; one that comes again counts only once.
        gains: Gain of each relevant id, above 0; others have none.
        k: How many are looked at.

    Source:
        Järvelin & Kekäläinen 2002, with gains as they are (as trec_eval's ndcg_cut).
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    got = np.array([gains.get(id_, 0.0) for id_ in list(dict.fromkeys(ranked))[:k]])
    best = np.sort([gain for gain in gains.values() if gain > 0])[::-1][:k]
    ideal = float(best @ discounts[: len(best)])
    return float(got @ discounts[: len(got)]) / ideal if ideal else 0.0


def recall(ranked: Sequence[_Id], relevant: Collection[_Id], *, k: int = 10) -> float:
    """The share of the relevant ids among the first k, 0 to 1; 0 when there are none."""
    wanted = set(relevant)
    return len(wanted & set(ranked[:k])) / len(wanted) if wanted else 0.0


def top_1(ranked: Sequence[_Id], relevant: Collection[_Id]) -> float:
    """1 when the first id is relevant, else 0."""
    return float(bool(ranked) and ranked[0] in relevant)


def bootstrap(values: Sequence[float] | NDArray[np.float64], *, seed: int) -> Interval:
    """The mean of values with its percentile bootstrap interval, which holds 95 % of resampled means.

    Args:
        values: (n,) one a query.
        seed: The same seed gives the same interval.

    Raises:
        BadInput: There are none.

    Source:
        Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    array = np.asarray(values, np.float64)
    if not len(array):
        raise BadInput("an interval needs at least one value")
    generator = np.random.default_rng(seed)
    means = [
        array[generator.integers(len(array), size=(_CHUNK, len(array)))].mean(axis=1) for _ in range(SAMPLES // _CHUNK)
    ]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return Interval(float(array.mean()), float(low), float(high))


def paired_bootstrap(
    first: Sequence[float] | NDArray[np.float64], second: Sequence[float] | NDArray[np.float64], *, seed: int
) -> Interval:
    """How much better the first is than the second on the same queries, with a 95 % interval; queries are resampled.

    Raises:
        BadInput: They are not of the same queries, or of none.

    Source:
        Sakai 2006, Evaluating evaluation metrics based on the bootstrap (paired test).
    """
    if len(first) != len(second):
        raise BadInput(f"paired values are of the same queries; here are {len(first)} and {len(second)}")
    return bootstrap(np.asarray(first, np.float64) - np.asarray(second, np.float64), seed=seed)
