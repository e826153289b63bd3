"""A review as it was made: what was shown, what each reviewer said of it, and what they agree on.

Belongs here: the values, what is counted over them, the JSON document. Not here: Markdown (see report.py), what becomes
of findings (see life.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from lakehouse.catalog.manifest import format_utc
from lakehouse.review.answers import Verdict, worst
from lakehouse.review.bundles import Bundle
from lakehouse.review.convergence import Point, converge
from lakehouse.review.findings import NOTHING_DROPPED, Dropped, Finding
from lakehouse.review.panel import Answered
from lakehouse.review.prompt import PROMPT_VERSION
from lakehouse.scoring.lineage import lineage_of

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Diff:
    """What was reviewed: where it came from, SHA-256 and bytes of its text, its number of files."""

    source: str
    sha256: str
    size: int
    files: int


@dataclass(frozen=True, slots=True)
class Seat:
    """One reviewer over all bundles.

    Attributes:
        number: From 1, as reviewers were given.
        reviewer: The model, as it was asked.
        lineage: Its lineage.
        bundles: How many it was shown.
        engaged: On how many of them it is engaged.
        verdict: The worst of those; None: it is engaged on none.
        why_not: By bundle, why it is not engaged.
        findings: How many count.
        dropped: How many do not.
    """

    number: int
    reviewer: str
    lineage: str
    bundles: int
    engaged: int
    verdict: Verdict | None
    why_not: tuple[tuple[int, str], ...]
    findings: int
    dropped: Dropped

    @property
    def is_approval(self) -> bool:
        """Whether it accepts all that was shown: one that is not engaged on a bundle approves nothing."""
        return self.verdict == "accept" and self.engaged == self.bundles


@dataclass(frozen=True, slots=True)
class Review:
    """A review."""

    review_id: str
    created_at: datetime
    diff: Diff
    bundles: tuple[Bundle, ...]
    answers: tuple[Answered, ...]
    points: tuple[Point, ...]

    @classmethod
    def of(
        cls,
        answers: Sequence[Answered],
        *,
        review_id: str,
        created_at: datetime,
        diff: Diff,
        bundles: Sequence[Bundle],
    ) -> Review:
        """The review that answers make."""
        findings = [finding for answered in answers for finding in answered.heard.findings]
        return cls(review_id, created_at, diff, tuple(bundles), tuple(answers), converge(findings))

    def thing(self, bundle: int) -> str:
        """What a bundle is called where it is spoken of: the same diff, cut alike, is the same thing."""
        return f"diff:{self.diff.sha256}#{bundle}"

    def seats(self) -> tuple[Seat, ...]:
        """Each reviewer over all bundles."""
        numbers = sorted({answered.seat for answered in self.answers})
        return tuple(_seat(number, [one for one in self.answers if one.seat == number]) for number in numbers)

    def unreviewed(self) -> tuple[int, ...]:
        """Bundles on which nobody is engaged."""
        heard = {one.heard.bundle for one in self.answers if one.heard.is_engaged}
        return tuple(bundle.number for bundle in self.bundles if bundle.number not in heard)

    def disputed(self) -> tuple[int, ...]:
        """Bundles that one reviewer accepts and one of another lineage rejects."""
        found = []
        for bundle in self.bundles:
            of_verdict = {
                verdict: {
                    lineage_of(one.heard.reviewer)
                    for one in self.answers
                    if one.heard.bundle == bundle.number and one.heard.verdict == verdict
                }
                for verdict in ("accept", "reject")
            }
            if any(one != other for one in of_verdict["accept"] for other in of_verdict["reject"]):
                found.append(bundle.number)
        return tuple(found)

    def verdict(self) -> Verdict | None:
        """The worst verdict of all that are engaged; None while a bundle has been reviewed by nobody."""
        verdicts = [one.heard.verdict for one in self.answers if one.heard.verdict is not None]
        if not verdicts or (self.unreviewed() and worst(verdicts) == "accept"):
            return None
        return worst(verdicts)

    def dropped(self) -> Dropped:
        """All that does not count."""
        total = NOTHING_DROPPED
        for answered in self.answers:
            total += answered.heard.dropped
        return total

    def to_document(self) -> dict[str, Any]:
        """The JSON document."""
        return {
            "format_version": FORMAT_VERSION,
            "review_id": self.review_id,
            "created_at": format_utc(self.created_at),
            "prompt_version": PROMPT_VERSION,
            "diff": asdict(self.diff),
            "bundles": [
                {"number": b.number, "paths": b.paths, "bytes": b.size, "warning": b.warning} for b in self.bundles
            ],
            "verdict": self.verdict(),
            "unreviewed_bundles": self.unreviewed(),
            "disputed_bundles": self.disputed(),
            "reviewers": [
                {
                    **asdict(seat),
                    "why_not": {str(n): why for n, why in seat.why_not},
                    "approves": seat.is_approval,
                }
                for seat in self.seats()
            ],
            "points": [_point(point) for point in self.points],
            "dropped": asdict(self.dropped()),
            "answers": [_answer(answered) for answered in self.answers],
        }


def finding_document(finding: Finding) -> dict[str, Any]:
    """A finding in JSON."""
    return {
        "severity": finding.severity,
        "where": str(finding.place),
        "reason": finding.reason,
        "reviewer": finding.reviewer,
        "lineage": lineage_of(finding.reviewer),
        "bundle": finding.bundle,
    }


def _seat(number: int, answers: Sequence[Answered]) -> Seat:
    heard = [one.heard for one in answers]
    verdicts = [one.verdict for one in heard if one.verdict is not None]
    dropped = NOTHING_DROPPED
    for one in heard:
        dropped += one.dropped
    return Seat(
        number=number,
        reviewer=heard[0].reviewer,
        lineage=lineage_of(heard[0].reviewer),
        bundles=len(heard),
        engaged=len(verdicts),
        verdict=worst(verdicts) if verdicts else None,
        why_not=tuple((one.bundle, one.why_not) for one in heard if not one.is_engaged),
        findings=sum(len(one.findings) for one in heard),
        dropped=dropped,
    )


def _point(point: Point) -> dict[str, Any]:
    return {
        "number": point.number,
        "where": str(point.place),
        "severity": point.severity,
        "lineages": point.lineages,
        "is_converged": point.is_converged,
        "findings": [finding_document(finding) for finding in point.findings],
    }


def _answer(answered: Answered) -> dict[str, Any]:
    heard, said = answered.heard, answered.said
    return {
        "seat": answered.seat,
        "reviewer": heard.reviewer,
        "bundle": heard.bundle,
        "verdict": heard.verdict,
        "why_not": heard.why_not or None,
        "dropped": asdict(heard.dropped),
        "said": None if said is None else asdict(said),
    }
