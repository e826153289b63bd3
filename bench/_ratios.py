"""Regressions: the ratios that benches print, held against those that are committed.

A ratio is a number that was measured against something else in the same run, or a share: it says the same on a slow
machine and a busy one. Times, rates and bytes do not, and are not compared.

Belongs here: reading the lines, comparing. Not here: running benches (see _run.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MOST_WORSE = 0.2
# Shares near zero move by their rounding; what is less than this is no change.
_LEAST_CHANGE = 0.01
_LINE = re.compile(
    r"(?:PASS|FAIL)  (?P<what>.+): (?P<value>-?[\d,]+(?:\.\d+)?(?:e[+-]?\d+)?)(?P<unit>x?)"
    r" \(limit (?:(?P<sign>>=|<=) )?(?P<limit>-?[\d,]+(?:\.\d+)?)(?P=unit)\)"
)
_WITHOUT_LIMIT = re.compile(
    r"RATIO  (?P<what>.+): (?P<value>-?[\d,]+(?:\.\d+)?(?:e[+-]?\d+)?)x \((?P<sign>more|less) is better\)"
)
_MORE = {">=", "more"}


@dataclass(frozen=True, slots=True)
class Ratio:
    """A measured ratio; `is_more_better` says in which direction it is good."""

    value: float
    is_more_better: bool

    def worse_by(self, before: Ratio) -> float:
        """The part by which it is worse than before, 0 when it is not."""
        change = before.value - self.value if self.is_more_better else self.value - before.value
        if change < _LEAST_CHANGE:
            return 0.0
        return change / max(abs(before.value), _LEAST_CHANGE)


@dataclass(frozen=True, slots=True)
class Regression:
    """A ratio that is worse by more than is let through, or is not measured any more (`now` is None)."""

    name: str
    before: float
    now: float | None
    worse_by: float

    @property
    def words(self) -> str:
        """As it is printed."""
        if self.now is None:
            return f"GONE   {self.name}: {self.before:g} before, not measured now"
        return f"WORSE  {self.name}: {self.before:g} before, {self.now:g} now ({self.worse_by:.0%} worse)"


def read_ratios(script: str, lines: Iterable[str]) -> dict[str, Ratio]:
    """The ratios that a bench printed, by `<script>: <what>`; of one name that comes again, with its number."""
    found: dict[str, Ratio] = {}
    seen: Counter[str] = Counter()
    for line in lines:
        match = _WITHOUT_LIMIT.match(line) or _LINE.match(line)
        if match is None:
            continue
        if match.re is _LINE and not match["unit"] and not 0 <= _number(match["limit"]) <= 1:
            continue  # a rate or a count
        name = f"{script}: {match['what']}"
        seen[name] += 1
        key = name if seen[name] == 1 else f"{name} #{seen[name]}"
        found[key] = Ratio(_number(match["value"]), match["sign"] in _MORE)
    return found


def regressions(before: Mapping[str, float], now: Mapping[str, Ratio], scripts: Iterable[str]) -> list[Regression]:
    """What has become worse by more than a fifth, or is not measured any more.

    Args:
        before: The committed ratios by name.
        now: Those of this run.
        scripts: Those that ran; ratios of others are left alone.
    """
    ran = set(scripts)
    found = []
    for name, value in before.items():
        if name.partition(":")[0] not in ran:
            continue
        ratio = now.get(name)
        if ratio is None:
            found.append(Regression(name, value, None, 1.0))
            continue
        worse = ratio.worse_by(Ratio(value, ratio.is_more_better))
        if worse > MOST_WORSE:
            found.append(Regression(name, value, ratio.value, worse))
    return found


def better_of(one: Mapping[str, Ratio], other: Mapping[str, Ratio]) -> dict[str, Ratio]:
    """Of two measurements the better one of each ratio: noise makes a run slower, hardly ever faster."""
    found = dict(one)
    for name, ratio in other.items():
        if name not in found or found[name].worse_by(ratio) > 0:
            found[name] = ratio
    return found


def _number(text: str) -> float:
    return float(text.replace(",", ""))
