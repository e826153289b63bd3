"""Anomalies in a series of numbers as it comes: a level, or a roughness, that the series has not had before.

Two moving means of the series (over 4 and over 24 values) and one of its steps (over 10) are each held against their
own history, which ends before them; the score is the largest of the three deviations, in standard deviations. After an
alarm the series is quiet for a while: one event is one alarm. bench/drift.py scores it with NAB's windows and formula.

Belongs here: the detector. Not here: which series (see lakehouse/adapters/drift_runs.py), scoring it (see
bench/drift.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
LEVELS = (4, 24)
STEPS = 10
_HISTORY = 8
"""So many times the warm-up is looked back."""
_QUIET = 0.4
"""So much of the warm-up nothing is said after an alarm."""
_LEAST = 30
WARM_UP_SHARE, MOST_WARM_UP = 0.15, 750


def warm_up_of(count: int) -> int:
    """How many values of a series only teach: NAB's probationary period, 15 %, 750 at most."""
    return min(int(WARM_UP_SHARE * count), MOST_WARM_UP)


def anomaly_scores(values: Numbers, *, warm_up: int) -> Numbers:
    """How strange each value is, given those before it.

    Args:
        values: In the order of time, finite.
        warm_up: As `warm_up_of` gives it.

    Returns:
        Of the same length, 0 and more; 0 where too little is known yet. A value's score never depends on later ones.

    Source:
        Moving-window deviations as in NAB's windowed Gaussian baseline; Lavin & Ahmad 2015, Evaluating Real-time
        Anomaly Detection Algorithms, arXiv:1510.03336.
    """
    if not len(values):
        return np.zeros(0)
    history = max(_LEAST, _HISTORY * warm_up)
    smallest = 1e-9 + 1e-6 * float(np.abs(values[:_LEAST]).mean())
    parts = [np.abs(_deviations(_moving_mean(values, width), history, smallest)) for width in LEVELS]
    steps = np.abs(np.diff(values, prepend=values[:1]))
    # A series that became calm is no anomaly; one that became rough is.
    parts.append(np.maximum(0.0, _deviations(_moving_mean(steps, STEPS), history, smallest)))
    scores: Numbers = np.maximum.reduce(parts)
    return scores


def alarms(scores: Numbers, *, threshold: float, warm_up: int) -> NDArray[np.int64]:
    """The places of alarms, in order: where the score reaches the threshold, after the warm-up, in no quiet time."""
    quiet = _QUIET * warm_up
    found: list[int] = []
    for place in np.flatnonzero(scores >= threshold):
        if place >= warm_up and (not found or place - found[-1] > quiet):
            found.append(int(place))
    return np.asarray(found, np.int64)


def _moving_mean(values: Numbers, width: int) -> Numbers:
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(0, ends - width)
    means: Numbers = (sums[ends] - sums[begins]) / (ends - begins)
    return means


def _deviations(values: Numbers, history: int, smallest: float) -> Numbers:
    """Each value's distance from the mean of those before it, in their standard deviations."""
    shifted = values - values[0]
    sums = np.concatenate([[0.0], np.cumsum(shifted)])
    squares = np.concatenate([[0.0], np.cumsum(shifted * shifted)])
    ends = np.arange(len(values))
    begins = np.maximum(0, ends - history)
    counts = np.maximum(1, ends - begins)
    means = (sums[ends] - sums[begins]) / counts
    spread = np.sqrt(np.maximum(0.0, (squares[ends] - squares[begins]) / counts - means * means))
    found: Numbers = np.where(ends - begins >= _LEAST, (shifted - means) / (spread + smallest), 0.0)
    return found
