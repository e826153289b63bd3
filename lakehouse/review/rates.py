"""How often reviewers are wrong: of their findings that were decided, the share that was dismissed.

Belongs here: the counts over all reviews, their document. Not here: deciding (see life.py), keeping (see
lakehouse/adapters/review_store.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from lakehouse.review.life import KeptFinding, KeptFindings, false_positives

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Rate:
    """One reviewer: findings by state, and the share of the decided that was dismissed (None: none was decided)."""

    reviewer: str
    lineage: str
    findings: int
    open: int
    fixed: int
    dismissed: int
    deferred: int
    false_positive_rate: float | None


def rates_of(reviews: Iterable[KeptFindings]) -> tuple[Rate, ...]:
    """The rates of every reviewer of some reviews, by name."""
    by_reviewer: dict[str, list[KeptFinding]] = {}
    for review in reviews:
        for finding in review.findings:
            by_reviewer.setdefault(finding.reviewer, []).append(finding)
    return tuple(_rate(reviewer, found) for reviewer, found in sorted(by_reviewer.items()))


def rates_document(rates: Iterable[Rate]) -> dict[str, Any]:
    """The JSON document."""
    return {"format_version": FORMAT_VERSION, "reviewers": [asdict(rate) for rate in rates]}


def _rate(reviewer: str, findings: list[KeptFinding]) -> Rate:
    states = [finding.state for finding in findings]
    dismissed, decided = false_positives(findings)
    return Rate(
        reviewer=reviewer,
        lineage=findings[0].lineage,
        findings=len(findings),
        open=states.count("open"),
        fixed=states.count("fixed"),
        dismissed=dismissed,
        deferred=states.count("deferred"),
        false_positive_rate=round(dismissed / decided, 6) if decided else None,
    )
