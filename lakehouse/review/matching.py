"""What is the same: findings at one place, and findings held against those that people wrote.

Findings are at the same place when their paths are one and their lines overlap; what overlaps in a chain is one place,
so that no order of findings changes the groups. Precision is the share of findings that say what one of the expected
says, recall the share of the expected that some finding says; a finding may say several of them.

Belongs here: groups, pairs, the two shares. Not here: who agrees (see convergence.py), what was judged the same by
others (see lakehouse/trajectories/code_review_bench.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lakehouse.review.findings import SEVERITIES, Finding

F = TypeVar("F")
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Match:
    """Findings held against what was expected.

    Attributes:
        pairs: Places in both lists of what is the same.
        found: How many findings there are.
        expected: How many were expected.
    """

    pairs: tuple[tuple[int, int], ...]
    found: int
    expected: int

    @property
    def precision(self) -> float:
        """Share of the findings that are the same as an expected one; 0 where there is none."""
        return len({one for one, _ in self.pairs}) / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of the expected that were found; 0 where there is none."""
        return len({one for _, one in self.pairs}) / self.expected if self.expected else 0.0


def match(found: Sequence[F], expected: Sequence[E], is_same: Callable[[F, E], bool]) -> Match:
    """Hold findings against what was expected.

    Args:
        found: The findings.
        expected: What people found, or what another reviewer did.
        is_same: Whether both say the same.
    """
    pairs = tuple((at, of) for at, one in enumerate(found) for of, other in enumerate(expected) if is_same(one, other))
    return Match(pairs, len(found), len(expected))


def is_same_place(one: Finding, other: Finding) -> bool:
    """Whether two findings are at the same place."""
    return one.place.overlaps(other.place)


def same_places(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings in groups of one place each, in the order of places; in a group worst first, then by reviewer."""
    groups: list[list[Finding]] = []
    reached = 0
    for finding in sorted(findings, key=_by_place):
        last = groups[-1][0].place if groups else None
        is_next = last is not None and (last.path, last.side) == (finding.place.path, finding.place.side)
        if is_next and finding.place.first <= reached:
            groups[-1].append(finding)
            reached = max(reached, finding.place.last)
        else:
            groups.append([finding])
            reached = finding.place.last
    return [
        sorted(group, key=lambda one: (SEVERITIES.index(one.severity), one.reviewer, _by_place(one)))
        for group in groups
    ]


def _by_place(finding: Finding) -> tuple[str, str, int, int, int, str, str]:
    place = finding.place
    severity = SEVERITIES.index(finding.severity)
    return place.path, place.side, place.first, place.last, severity, finding.reviewer, finding.reason
