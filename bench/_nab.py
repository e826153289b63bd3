"""NAB's score of a detector on labelled series: windows, sigmoid weights, standard profile.

Lavin & Ahmad 2015, Evaluating Real-time Anomaly Detection Algorithms: the Numenta Anomaly Benchmark, arXiv:1510.03336,
section 3: the first alarm in a window earns up to 1, the earlier the more; a window without one costs 1; an alarm
outside costs up to 0.11, the more the farther it is behind the last window. A detector that says nothing has 0, a
perfect one 100. The first 15 % of a series, 750 rows at most, are not scored.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lakehouse.drift.series import warm_up_of

FALSE_ALARM = 0.11
"""Weight of an alarm outside of windows in the standard profile; those of windows are 1."""


@dataclass(frozen=True)
class Series:
    name: str
    values: NDArray[np.float64]
    windows: tuple[tuple[int, int], ...]

    @property
    def warm_up(self) -> int:
        return warm_up_of(len(self.values))

    @property
    def scored_windows(self) -> int:
        return sum(end >= self.warm_up for _, end in self.windows)


def read_series(folder: Path) -> Iterator[Series]:
    """The series of `nab_realKnownCause`, with NAB's own windows as places of rows."""
    windows = json.loads((folder / "nab_combined_windows.json").read_text())
    for path in sorted((folder / "nab_realKnownCause").glob("*.csv")):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        times = [row["timestamp"] for row in rows]
        bounds = windows[f"realKnownCause/{path.name}"]
        places = tuple((times.index(begin[:19]), times.index(end[:19])) for begin, end in bounds)
        yield Series(path.stem, np.array([float(row["value"]) for row in rows]), places)


def raw_score(series: Series, alarms: Sequence[int] | NDArray[np.int64]) -> float:
    """NAB's score of alarms, not normalized."""
    best = {place: -1.0 for place, (_, end) in enumerate(series.windows) if end >= series.warm_up}
    total = 0.0
    for alarm in alarms:
        if alarm < series.warm_up:
            continue
        inside = next((p for p, (begin, end) in enumerate(series.windows) if begin <= alarm <= end), None)
        if inside is None:
            total += FALSE_ALARM * _weight(_behind(series, int(alarm)))
            continue
        begin, end = series.windows[inside]
        earned = _weight(-(end - alarm + 1) / (end - begin + 1)) / _weight(-1.0)
        best[inside] = max(best[inside], earned)
    return total + sum(best.values())


def normalized(scores: Sequence[float], windows: int) -> float:
    """0: a detector that says nothing; 100: a perfect one."""
    return 100 * (sum(scores) + windows) / (2 * windows)


def _behind(series: Series, alarm: int) -> float:
    """How many widths of the last window an alarm is behind it; far, where there is none before."""
    before = [(begin, end) for begin, end in series.windows if end < alarm]
    if not before:
        return math.inf
    begin, end = before[-1]
    return (alarm - end) / (end - begin)


def _weight(position: float) -> float:
    return -1.0 if position >= 3 else 2 / (1 + math.exp(5 * position)) - 1
