"""What is the same: findings at one place.

Findings are at the same place when their paths are one and their lines overlap; what overlaps in a chain is one place,
so that no order of findings changes the groups.

Belongs here: groups. Not here: who agrees (see convergence.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from lakehouse.review.findings import SEVERITIES, Finding


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
