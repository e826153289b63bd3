"""Arms held against each other: the same tasks, paired, with an interval.

A pair counts where the right answer is known and both arms were answered: an answer that was refused is a miss, a
provider that failed is neither. A task that can be asked of neither arm, for a filter on a field that is gone, say, is
no fault of the candidate's, and counts nowhere.

Belongs here: from runs to facts. Not here: the bootstrap (see lakehouse/retrieval/evaluation.py), what facts lead to
(see rules.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lakehouse.promotion.rules import Measure
from lakehouse.retrieval.evaluation import Interval, bootstrap, paired_bootstrap

SEED = 20_260_101
"""Of all intervals: the same runs give the same verdict."""
_MOST_RATIO = 1e6
_FLIPS, _AT_ONCE = 9_999, 1_000_000
_MANY = 1_000
_MOST_ERRORS = 3


@dataclass(frozen=True, slots=True)
class Run:
    """What a verdict needs of one run.

    Attributes:
        exact: Whether it is the right answer; None: nobody knows.
        score: How near it is, 0 to 1; likewise.
        has_failed: Nobody answered.
        is_refused: The answer did not leave.
        is_unaskable: Nobody answered, for what was asked cannot be asked.
        cost_usd: None: unknown.
        latency_ms: How long it took.
        error: Why nobody answered; empty otherwise.
    """

    exact: bool | None = None
    score: float | None = None
    has_failed: bool = False
    is_refused: bool = False
    is_unaskable: bool = False
    cost_usd: float | None = None
    latency_ms: float | None = None
    error: str = ""

    def measured(self, measure: Measure) -> float | None:
        """What is compared; None where it cannot be."""
        if self.has_failed:
            return None
        return self.score if measure == "score" else (None if self.exact is None else float(self.exact))


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """One arm by itself.

    `interval` is of what is compared, None where nothing can be. `errors` are the reasons for which nobody answered,
    the most frequent first, with how often.
    """

    arm: str
    runs: int
    measured: int
    interval: Interval | None
    failed: int
    refused: int
    cost_usd: float | None
    latency_ms: float | None
    errors: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """A candidate against a baseline; `interval` is of the difference, None without a pair."""

    candidate: str
    baseline: str
    interval: Interval | None
    facts: Mapping[str, float | None]


def summarize(arm: str, runs: Mapping[str, Run], *, measure: Measure) -> ArmSummary:
    """What an arm did."""
    values = [value for run in runs.values() if (value := run.measured(measure)) is not None]
    answered = [run for run in runs.values() if not run.has_failed]
    return ArmSummary(
        arm=arm,
        runs=len(runs),
        measured=len(values),
        interval=bootstrap(values, seed=SEED) if values else None,
        failed=len(runs) - len(answered),
        refused=sum(run.is_refused for run in answered),
        cost_usd=_mean([run.cost_usd for run in answered]),
        latency_ms=_mean([run.latency_ms for run in answered]),
        errors=tuple(Counter(run.error for run in runs.values() if run.error).most_common(_MOST_ERRORS)),
    )


def compare(
    candidate: tuple[str, Mapping[str, Run]],
    baseline: tuple[str, Mapping[str, Run]],
    *,
    measure: Measure,
    shared_tasks: int = 0,
    proposals: int = 1,
) -> Comparison:
    """The facts of a candidate against a baseline.

    Args:
        candidate: Its name, and its runs by task.
        baseline: Likewise.
        measure: What is compared.
        shared_tasks: How many of the tasks the candidate was made of.
        proposals: How many are tried on these tasks, itself among them.
    """
    (name, mine), (other_name, others) = candidate, baseline
    lost = {task for task in mine.keys() & others.keys() if mine[task].is_unaskable and others[task].is_unaskable}
    mine, others = ({task: run for task, run in runs.items() if task not in lost} for runs in (mine, others))
    pairs = [
        (first, second)
        for task in sorted(mine.keys() & others.keys())
        if (first := mine[task].measured(measure)) is not None
        and (second := others[task].measured(measure)) is not None
    ]
    interval = paired_bootstrap([a for a, _ in pairs], [b for _, b in pairs], seed=SEED) if pairs else None
    answered = [run for run in mine.values() if not run.has_failed]
    both = [task for task in mine.keys() & others.keys() if not mine[task].has_failed and not others[task].has_failed]
    took_ms = [mine[t].latency_ms for t in both], [others[t].latency_ms for t in both]
    differences = [a - b for a, b in pairs if a != b]
    facts: dict[str, float | None] = {
        "tasks": len(pairs),
        "unaskable": len(lost),
        "differing": len(differences),
        "mean": None if interval is None else interval.mean,
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
        "failed_share": 1 - len(answered) / len(mine) if mine else 0.0,
        "refused_share": sum(run.is_refused for run in answered) / len(answered) if answered else 0.0,
        "cost_ratio": _ratio([mine[t].cost_usd for t in both], [others[t].cost_usd for t in both]),
        "latency_ratio": _ratio(*took_ms),
        "latency_more_ms": _more(*took_ms),
        "shared_tasks": shared_tasks,
        "proposals": proposals,
        # Holm over the proposals, of which the others count as not better: one that was is live, and the rest over it.
        "p_value": min(1.0, proposals * flip_p_value(differences)) if pairs else None,
    }
    return Comparison(name, other_name, interval, facts)


def flip_p_value(differences: Sequence[float]) -> float:
    """The chance that differences lie as far to one side, were either sign of each as likely (two-sided).

    Args:
        differences: Those of pairs that differ, none of them 0.

    Returns:
        Where all are of one size, by the sign test, which is exact; else by 9,999 flips of signs, or all there are; of
        more than a thousand by the normal distribution that these have.

    Source:
        McNemar 1947; Fisher 1935, The Design of Experiments, section 21.
    """
    from scipy import stats

    if not differences:
        return 1.0
    values = np.asarray(differences, np.float64)
    if np.allclose(np.abs(values), abs(values[0])):
        return float(stats.binomtest(int((values > 0).sum()), len(values)).pvalue)
    if len(values) > _MANY:
        return float(2 * stats.norm.sf(abs(values.sum()) / np.sqrt((values**2).sum())))
    done = stats.permutation_test(
        (values, np.zeros_like(values)), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples",
        n_resamples=_FLIPS, batch=max(1, _AT_ONCE // len(values)), rng=np.random.default_rng(SEED),
    )  # fmt: skip
    return float(done.pvalue)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _ratio(mine: Sequence[float | None], others: Sequence[float | None]) -> float | None:
    """One mean over the other; None where either is not known, 1 where both are nothing."""
    if any(value is None for value in (*mine, *others)):
        return None
    first, second = _mean(mine), _mean(others)
    if first is None or second is None:
        return None
    if second == 0:
        return 1.0 if first == 0 else _MOST_RATIO
    return min(first / second, _MOST_RATIO)


def _more(mine: Sequence[float | None], others: Sequence[float | None]) -> float | None:
    """One mean less the other; None where either is not known."""
    if any(value is None for value in (*mine, *others)):
        return None
    first, second = _mean(mine), _mean(others)
    return None if first is None or second is None else first - second
