"""Tests of two samples, with effects whose sizes mean something whatever the number of samples.

Belongs here: tests on shares and numbers, corrections for many of them. Not here: tests on vectors (see embedding.py),
on series (see series.py), what an effect must reach (see rules.yaml).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
_EXACT = 2_000
"""Up to so many samples shares are tested exactly; with more, the approximation says the same and takes no time."""


class Tested(NamedTuple):
    """What a test gave: its name, the p-value (two-sided), the signed effect."""

    test: str
    p_value: float
    effect: float


def test_shares(before: tuple[int, int], now: tuple[int, int]) -> Tested:
    """Whether two shares are the same.

    Args:
        before: How many of how many, at the baseline.
        now: The same now.

    Returns:
        Fisher's exact test, or the chi-square test where there are many; the effect is Cohen's h, -pi to pi.

    Source:
        Cohen 1988, Statistical Power Analysis, chapter 6: 0.2 is a small effect, 0.5 a medium, 0.8 a large one.
    """
    from scipy import stats

    table = np.array([[now[0], now[1] - now[0]], [before[0], before[1] - before[0]]])
    effect = angle(now[0] / now[1]) - angle(before[0] / before[1])
    if table.sum() <= _EXACT:
        return Tested("Fisher's exact test", float(stats.fisher_exact(table).pvalue), effect)
    if not table.sum(axis=0).all():  # all or none in both: nothing differs
        return Tested("chi-square test", 1.0, effect)
    return Tested("chi-square test", float(stats.chi2_contingency(table, correction=False).pvalue), effect)


def test_numbers(before: Numbers, now: Numbers) -> Tested:
    """Whether numbers of two samples are as large.

    Args:
        before: At the baseline, finite, at least one.
        now: Now, likewise.

    Returns:
        The Mann-Whitney test; the effect is Cliff's delta, -1 (all are smaller now) to 1.

    Source:
        Cliff 1993, Dominance statistics; Romano et al. 2006: 0.147 is small, 0.33 medium, 0.474 large.
    """
    from scipy import stats

    done = stats.mannwhitneyu(now, before, alternative="two-sided", method="asymptotic")
    # All values equal: the statistic has no variance, and there is nothing to find.
    p_value = 1.0 if math.isnan(done.pvalue) else float(done.pvalue)
    return Tested("Mann-Whitney test", p_value, 2 * float(done.statistic) / (len(now) * len(before)) - 1)


def test_gains(before: tuple[tuple[int, int], tuple[int, int]], now: tuple[tuple[int, int], tuple[int, int]]) -> Tested:
    """Whether one arm is as much better than the other as it was.

    Args:
        before: How many of how many succeeded in the arm, then in its hold-out, at the baseline.
        now: The same now.

    Returns:
        A z-test on the difference of Cohen's h, whose variance is one over the samples of each share.
    """
    from scipy import stats

    gains = [angle(arm[0] / arm[1]) - angle(out[0] / out[1]) for arm, out in (before, now)]
    variance = sum(1 / count for pair in (before, now) for _, count in pair)
    effect = gains[1] - gains[0]
    return Tested("z-test on arcsines", float(2 * stats.norm.sf(abs(effect) / math.sqrt(variance))), effect)


def angle(share: float) -> float:
    """The arcsine transform of a share, of which Cohen's h is the difference."""
    return 2 * math.asin(math.sqrt(share))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted so that the chance of any false alarm among them stays what it is for one.

    Source:
        Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.asarray(p_values, np.float64)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(p_values) else steps
    return [float(value) for value in adjusted]


def psi(before: Sequence[int], now: Sequence[int]) -> float:
    """The population stability index of counts by category.

    Half a sample is added to each category, so that an empty one does not make it infinite.

    Args:
        before: Counts at the baseline.
        now: Counts now, of the same categories.

    Returns:
        0 and more; by convention 0.1 is a change to look at, 0.25 a large one.

    Source:
        Siddiqi 2006, Credit Risk Scorecards, chapter 8.
    """
    was, is_ = (np.asarray(counts, np.float64) + 0.5 for counts in (before, now))
    was, is_ = was / was.sum(), is_ / is_.sum()
    return float(((is_ - was) * np.log(is_ / was)).sum())
