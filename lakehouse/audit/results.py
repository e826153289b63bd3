"""Phases and what came of them: checks that passed, failed or could not be made, and numbers.

A phase fails when one of its checks fails. It passes when at least one passed and none failed. What could not be made
is never a pass: a phase of which nothing could be made is skipped, and says why.

Belongs here: the form. Not here: the checks (see the audit_full_ modules of lakehouse/adapters), the report (see
report.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["pass", "fail", "skip"]
Better: TypeAlias = Literal["higher", "lower", "neither"]
_METRIC = re.compile(r"[a-z][a-z0-9_]*")
MOST_SHOWN = 20
"""So many cases of one check are listed; the others are counted."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase.

    Attributes:
        number: Its place in the order.
        name: One word, which names its metrics, too.
        meaning: What is found out.
    """

    number: int
    name: str
    meaning: str


PHASES = (
    Phase(0, "setup", "the installation is sound, the store answers and keeps conditions"),
    Phase(1, "contracts", "a live API keeps the contract; every stored document can be read, in a version we know"),
    Phase(2, "materialize", "evidence is of the raw lines there are; a second pass has nothing to do"),
    Phase(3, "score", "scores are of the evidence there is; scoring again gives the same"),
    Phase(4, "exports", "the same inputs give corpora of the same bytes"),
    Phase(5, "receipts", "manifests, bytes, receipts, raw lines and chains hold against each other"),
    Phase(6, "acceptance", "what is recorded makes later searches better, by an interval above 0"),
    Phase(7, "replay", "past tasks run again, end to end"),
)


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a phase.

    Attributes:
        name: What was looked at, in a few words.
        verdict: What came of it.
        what: What was found, or why it could not be made.
        remedy: What to do, where it failed.
    """

    name: str
    verdict: Verdict
    what: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of a phase; its unit is in its name (`_share`, `_ms`, `_bytes`), a count has none.

    One way is better only where a change for the worse is a matter of its own: what a check judges already, and what
    moves with the hour (times, disks), goes neither way, or drift would be told of it.
    """

    name: str
    value: float
    better: Better = "neither"


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """What came of a phase."""

    phase: Phase
    checks: tuple[Check, ...]
    metrics: tuple[Metric, ...]
    elapsed_ms: float

    @property
    def verdict(self) -> Verdict:
        """`fail` where a check failed, else `pass` where one passed, else `skip`."""
        verdicts = {check.verdict for check in self.checks}
        return "fail" if "fail" in verdicts else "pass" if "pass" in verdicts else "skip"


@dataclass(slots=True)
class PhaseLedger:
    """Checks and metrics of one phase as they come."""

    checks: list[Check] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)

    def passed(self, name: str, what: str) -> None:
        """A check that passed."""
        self.checks.append(Check(name, "pass", what))

    def failed(self, name: str, what: str, remedy: str) -> None:
        """A check that failed."""
        self.checks.append(Check(name, "fail", what, remedy))

    def skipped(self, name: str, why: str) -> None:
        """A check that could not be made, and why."""
        self.checks.append(Check(name, "skip", why))

    def judge(self, name: str, faults: Sequence[str], *, looked_at: str, remedy: str) -> None:
        """A check that passes when there is no fault; the first of many are listed.

        Args:
            name: The check.
            faults: What is wrong.
            looked_at: What was looked at, with how many.
            remedy: What to do.
        """
        if not faults:
            self.passed(name, looked_at)
            return
        more = f"; and {len(faults) - MOST_SHOWN:,} more" if len(faults) > MOST_SHOWN else ""
        self.failed(name, f"{'; '.join(faults[:MOST_SHOWN])}{more} (of {looked_at})", remedy)

    def measured(self, name: str, value: float, better: Better = "neither") -> None:
        """A metric.

        Raises:
            ValueError: Its name is none, or it is no finite number; such a one could be compared with nothing.
        """
        if not _METRIC.fullmatch(name) or not math.isfinite(value):
            raise ValueError(f"{name!r} = {value} is not a metric")
        self.metrics.append(Metric(name, round(float(value), 6), better))

    def result(self, phase: Phase, *, elapsed_ms: float) -> PhaseResult:
        """The phase as it is now."""
        return PhaseResult(phase, tuple(self.checks), tuple(self.metrics), round(elapsed_ms, 1))


PhaseWork: TypeAlias = Callable[[PhaseLedger], None]
