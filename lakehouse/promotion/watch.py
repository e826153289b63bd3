"""The watch: whether users' outcomes under a promoted config are what was expected of it.

What is expected is fixed when a config is promoted: the interval of outcomes under the config that served before, where
there were enough of them, else the candidate's own interval in the replay.

Belongs here: expectation, facts. Not here: reading outcomes (see lakehouse/adapters/promotion_evidence.py), rolling
back (see lakehouse/adapters/promotion.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lakehouse.errors import BadInput
from lakehouse.promotion.comparison import SEED
from lakehouse.promotion.rules import Decision, PromotionRules, decide
from lakehouse.retrieval.evaluation import Interval, bootstrap

LEAST_OUTCOMES = 20
"""Fewer say nothing about what served before."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What outcomes are expected to be, 0 (failed) to 1 (worked), and from where that is known.

    Attributes:
        source: `outcomes` of the config before, or the `replay`.
        tasks: Of how many.
    """

    source: Literal["outcomes", "replay"]
    tasks: int
    mean: float
    low: float
    high: float

    def to_document(self) -> dict[str, Any]:
        """The JSON document."""
        return asdict(self)


def expectation_of(before: Sequence[float], replayed: Interval | None, *, tasks: int) -> Expectation:
    """What is expected of a config that is promoted now.

    Args:
        before: Outcomes under the config that serves, -1 to 1.
        replayed: The candidate's own interval in the replay.
        tasks: Of how many tasks that is.

    Raises:
        BadInput: Nothing is known.
    """
    if len(before) >= LEAST_OUTCOMES:
        # One more that worked and one more that failed: some outcomes that all worked promise nothing of all others.
        interval = bootstrap([*(_share(score) for score in before), 0.0, 1.0], seed=SEED)
        return Expectation("outcomes", len(before), interval.mean, interval.low, interval.high)
    if replayed is None:
        raise BadInput("nothing says what to expect of this config: no outcomes, and no task with a known answer")
    return Expectation("replay", tasks, replayed.mean, replayed.low, replayed.high)


def watch(scores: Sequence[float], expected: Mapping[str, Any], rules: PromotionRules) -> Decision:
    """Whether a promoted config stays.

    Args:
        scores: Outcomes of answers under it, -1 to 1.
        expected: The document of its `Expectation`.
        rules: Those that decide.
    """
    floor = float(expected["low"])
    facts: dict[str, float | None] = {"outcomes": len(scores), "floor": floor}
    if scores:
        interval = bootstrap([_share(score) for score in scores], seed=SEED)
        facts |= {
            "mean": interval.mean,
            "low": interval.low,
            "high": interval.high,
            "mean_over_floor": interval.mean - floor,
            "high_over_floor": interval.high - floor,
        }
    return decide(rules.watch, facts, version=rules.version)


def _share(score: float) -> float:
    return (score + 1) / 2
