"""What bench/small_model.py found: a table, the limits, and the curve as a picture.

Belongs here: intervals, printing, drawing. Not here: asking (see small_model.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _small_model_questions import Question
from _small_model_stack import Memo

from lakehouse.retrieval.evaluation import Interval, bootstrap, paired_bootstrap

BOOTSTRAP_SEED = 20240601
KINDS = ("who", "which", "count", "fill")
LIFT, AIM = 0.30, 0.10


@dataclass(frozen=True)
class Curve:
    """Whether each answer of the exam was right, (n,) by arm and by rounds; `own`: the share of each round's own."""

    exam: Sequence[Question]
    arms: Mapping[str, np.ndarray]
    looks: Mapping[int, np.ndarray]
    own: Sequence[float]


def report(curve: Curve, memo: Memo, *, plot: Path | None, is_part: bool = False) -> int:
    """Print all, draw the curve; 0 when every limit is met.

    Of a part of the exam the gain is told with its interval, which only the whole one makes narrow enough to judge.
    """
    rows = {**curve.arms, **{f"memory, round {number}": values for number, values in curve.looks.items()}}
    kinds = np.array([question.kind for question in curve.exam])
    print(f"\n{len(curve.exam)} questions; share of right answers with 95 % intervals, and by kind")
    print(f"{'arm':<20}{'right':>8}{'interval':>18}" + "".join(f"{kind:>8}" for kind in KINDS))
    for name, values in rows.items():
        whole = bootstrap(values, seed=BOOTSTRAP_SEED)
        by_kind = "".join(f"{values[kinds == kind].mean():8.1%}" for kind in KINDS)
        print(f"{name:<20}{whole.mean:8.1%}{f'{whole.low:.1%} to {whole.high:.1%}':>18}{by_kind}")
    own = " ".join(f"{share:.0%}" for share in curve.own)
    print(f"own questions of the rounds, right: {own}")
    print(f"the model was asked {memo.asked} prompts in {memo.model_s:,.0f} s; {memo.known} prompts were known already")
    first, last = min(curve.looks), max(curve.looks)
    lift = paired_bootstrap(curve.arms["retrieval"], curve.arms["cold"], seed=BOOTSTRAP_SEED)
    gain = paired_bootstrap(curve.looks[last], curve.looks[first], seed=BOOTSTRAP_SEED)
    for number in list(curve.looks)[1:]:
        since = paired_bootstrap(curve.looks[number], curve.looks[first], seed=BOOTSTRAP_SEED)
        print(f"round {number} over round {first}: {_shown(since)}")
    said = f"round {last} over round {first}, {_shown(gain)}"
    verdicts = [
        _judge(f"retrieval over cold, {_shown(lift)}: mean", lift.mean, LIFT),
        _judge(f"{said}: mean", gain.mean, 0.0) if is_part else _judge(f"{said}: low end", gain.low, 0.0),
    ]
    if is_part:
        print(f"{len(curve.exam)} questions know a gain to about ten points; all of the exam: docs/benchmarks.md")
    else:
        _judge("the same, aim: mean", gain.mean, AIM)
    if plot is not None:
        _draw(curve, plot)
    return 0 if all(verdicts) else 1


def _judge(what: str, measured: float, limit: float) -> bool:
    is_met = measured >= limit if limit else measured > limit
    print(f"{'PASS' if is_met else 'FAIL'}  {what} {100 * measured:+.1f} points (limit {100 * limit:+.0f})")
    return is_met


def _shown(interval: Interval) -> str:
    return f"{100 * interval.mean:+.1f} points ({100 * interval.low:+.1f} to {100 * interval.high:+.1f})"


def _draw(curve: Curve, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (whole, parts) = pyplot.subplots(1, 2, figsize=(11, 4.6), dpi=144, sharey=True)
    numbers = list(curve.looks)
    places = range(len(numbers))
    intervals = [bootstrap(curve.looks[number], seed=BOOTSTRAP_SEED) for number in numbers]
    for name, color in (("cold", "#6b7280"), ("retrieval", "#d97706")):
        whole.axhline(100 * curve.arms[name].mean(), color=color, linestyle="--", label=f"{name}, no memory")
    whole.plot(places, [100 * i.mean for i in intervals], color="#1d4ed8", marker="o", label="playbooks and pathways")
    low, high = ([100 * getattr(i, end) for i in intervals] for end in ("low", "high"))
    whole.fill_between(places, low, high, color="#1d4ed8", alpha=0.15)
    whole.set_title(f"{len(curve.exam)} questions never asked before, 95 % intervals", fontsize=10)
    whole.set_ylabel("right answers, %")
    kinds = np.array([question.kind for question in curve.exam])
    for kind, marker in zip(KINDS, "osv^", strict=True):
        shares = [100 * curve.looks[number][kinds == kind].mean() for number in numbers]
        parts.plot(places, shares, marker=marker, markersize=5, label=kind)
    parts.set_title("by kind of question", fontsize=10)
    for axes in (whole, parts):
        axes.set_xticks(list(places), [str(number) for number in numbers])
        axes.set_xlabel("rounds of the model's own runs and their outcomes")
        axes.set_ylim(0, 100)
        axes.grid(visible=True, alpha=0.25)
        axes.legend(fontsize=8)
    figure.suptitle("SmolLM2-135M over 100,000 workers")
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})
    pyplot.close(figure)
