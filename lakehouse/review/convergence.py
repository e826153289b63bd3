"""Convergence: places that reviewers of several lineages find fault with.

What counts is lineages, not models and not answers: one model asked three times, or by two routes, is one; a model that
the table does not know is a lineage of its own (see lakehouse/scoring/lineages.yaml).

Belongs here: points and their lineages. Not here: what the same place is (see matching.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lakehouse.review.findings import Finding, Severity
from lakehouse.review.matching import same_places
from lakehouse.review.places import Place
from lakehouse.scoring.lineage import lineage_of

CONVERGED = 2
"""So many lineages make a point that they converge on."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place that is found fault with.

    Attributes:
        number: From 1, in the order of the report.
        place: All lines that its findings name.
        severity: The worst of its findings.
        lineages: Of the reviewers, sorted, each once.
        findings: Worst first.
    """

    number: int
    place: Place
    severity: Severity
    lineages: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def is_converged(self) -> bool:
        """Whether reviewers of several lineages name it."""
        return len(self.lineages) >= CONVERGED


def converge(findings: Sequence[Finding]) -> tuple[Point, ...]:
    """The places that findings name, those in front that most lineages agree on, then the worst."""
    found = []
    for group in same_places(findings):
        place = group[0].place
        for other in group[1:]:
            place = place.around(other.place)
        lineages = tuple(sorted({lineage_of(finding.reviewer) for finding in group}))
        found.append(Point(0, place, group[0].severity, lineages, tuple(group)))
    order = {"BLOCK": 0, "WARN": 1, "INFO": 2}
    found.sort(key=lambda point: (not point.is_converged, order[point.severity], -len(point.lineages), point.place))
    return tuple(
        Point(number, one.place, one.severity, one.lineages, one.findings) for number, one in enumerate(found, 1)
    )
