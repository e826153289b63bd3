"""The tally: how often what was asked, how long it took, what failed and why.

Belongs here: counting, quantiles. Not here: how they are shown (see lakehouse_cli/load_tables.py).
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lakehouse.load.mix import RequestKind, ScenarioKind
from lakehouse.load.steps import Wrong

QUANTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "max_ms": 1.0}
_MOST_REASONS = 5


@dataclass(slots=True)
class Line:
    """What happened to one kind of scenario or request.

    `latencies_ms` has one entry for each that ended, well or not; `reasons` counts failures, `details` has the first of
    each.
    """

    count: int = 0
    latencies_ms: array[float] = field(default_factory=lambda: array("d"))
    reasons: Counter[str] = field(default_factory=Counter)
    details: dict[str, str] = field(default_factory=dict)

    @property
    def failures(self) -> int:
        """How many failed."""
        return self.reasons.total()

    def fail(self, wrong: Wrong) -> None:
        """Count a failure."""
        self.reasons[wrong.reason] += 1
        self.details.setdefault(wrong.reason, wrong.detail)

    def to_document(self) -> dict[str, Any]:
        """Counts, quantiles in milliseconds, the commonest reasons."""
        ordered = sorted(self.latencies_ms)
        return {
            "count": self.count,
            "failures": self.failures,
            **{name: _rounded(quantile(ordered, share)) for name, share in QUANTILES.items()},
            "reasons": [
                {"reason": reason, "count": number, "first": self.details[reason]}
                for reason, number in self.reasons.most_common(_MOST_REASONS)
            ],
        }


@dataclass(slots=True)
class Second:
    """The scenarios that ended in one second of a run, and how many of them failed."""

    latencies_ms: array[float] = field(default_factory=lambda: array("d"))
    failures: int = 0


@dataclass(slots=True)
class Tally:
    """What happened in a run, by kind and by second. A scenario's latency counts from when it was meant to begin."""

    scenarios: dict[ScenarioKind, Line] = field(default_factory=dict)
    requests: dict[RequestKind, Line] = field(default_factory=dict)
    start_lags_ms: array[float] = field(default_factory=lambda: array("d"))
    seconds: list[Second] = field(default_factory=list)
    never_begun: int = 0

    def answered(self, kind: RequestKind, latency_ms: float) -> None:
        """Count a request that was answered, rightly or not."""
        line = self.requests.get(kind) or self.requests.setdefault(kind, Line())
        line.count += 1
        line.latencies_ms.append(latency_ms)

    def unanswered(self, kind: RequestKind) -> None:
        """Count a request that was not."""
        self.requests.setdefault(kind, Line()).count += 1

    def played(self, kind: ScenarioKind, latency_ms: float, *, at_s: float, is_failed: bool = False) -> None:
        """Count a scenario that came to its end, the right one or not, so many seconds after the start."""
        line = self.scenarios.get(kind) or self.scenarios.setdefault(kind, Line())
        line.count += 1
        line.latencies_ms.append(latency_ms)
        while len(self.seconds) <= at_s:
            self.seconds.append(Second())
        second = self.seconds[int(at_s)]
        second.latencies_ms.append(latency_ms)
        second.failures += is_failed

    def failed(self, scenario: ScenarioKind, request: RequestKind, wrong: Wrong) -> None:
        """Count what ended a scenario, both for its kind and for the request's; both are counted as asked already."""
        self.scenarios.setdefault(scenario, Line()).fail(wrong)
        self.requests.setdefault(request, Line()).fail(wrong)

    @property
    def scenario_count(self) -> int:
        """Scenarios that were played."""
        return sum(line.count for line in self.scenarios.values())

    @property
    def request_count(self) -> int:
        """Requests that were made."""
        return sum(line.count for line in self.requests.values())

    @property
    def failures(self) -> int:
        """Scenarios that failed, and those that a pace asked for and nobody could begin."""
        return sum(line.failures for line in self.scenarios.values()) + self.never_begun

    def timeline(self) -> list[dict[str, Any]]:
        """By second: how many scenarios ended and failed, how long they took."""
        told = []
        for number, second in enumerate(self.seconds):
            ordered = sorted(second.latencies_ms)
            told.append(
                {
                    "second": number,
                    "scenarios": len(ordered),
                    "failures": second.failures,
                    "p50_ms": _rounded(quantile(ordered, 0.5)),
                    "p99_ms": _rounded(quantile(ordered, 0.99)),
                }
            )
        return told

    def lines(self) -> Iterator[tuple[str, str, Line]]:
        """Every kind that was seen, in the order of the mix: `scenario` or `request`, its name, its line."""
        yield from (("scenario", str(kind), self.scenarios[kind]) for kind in ScenarioKind if kind in self.scenarios)
        yield from (("request", str(kind), self.requests[kind]) for kind in RequestKind if kind in self.requests)


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least this share of all are at or below (nearest rank); None of none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
