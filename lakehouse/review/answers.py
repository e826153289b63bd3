"""A reviewer's answer, judged: whether it is engaged at all, and its verdict.

Not engaged is an answer that is empty, cut, too short to hold an analysis, about places that are not in the diff, or
without any finding and verdict; and an approval that names no file that was shown, or stands beside findings that
cannot be read. It is shown with its reason, and it never counts as approval. The verdict of an engaged one is the worse
of what it states and what its findings say.

Belongs here: those rules. Not here: reading findings (see findings.py), asking (see panel.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal

from lakehouse.review.bundles import Bundle
from lakehouse.review.findings import NOTHING_DROPPED, SEVERITIES, Dropped, Finding, Read, read_answer
from lakehouse.review.matching import same_places
from lakehouse.review.places import PlacesOf

Verdict = Literal["accept", "cycle", "reject"]
VERDICTS: tuple[Verdict, ...] = ("accept", "cycle", "reject")
"""Best first."""
LEAST_WORDS = 25
LEAST_REASON_WORDS = 4
_OF_SEVERITY: dict[str, Verdict] = {"BLOCK": "reject", "WARN": "cycle", "INFO": "accept"}
_STATED = re.compile(r"\W*(accept|cycle|reject)\W*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Heard:
    """What one reviewer says of one bundle.

    Attributes:
        reviewer: The model, as it was asked.
        bundle: Number of the bundle.
        verdict: accept, cycle or reject; None: not engaged.
        why_not: Why it is not engaged; empty when it is.
        findings: Those that count; none of one that is not engaged.
        dropped: How many do not count.
    """

    reviewer: str
    bundle: int
    verdict: Verdict | None
    why_not: str = ""
    findings: tuple[Finding, ...] = ()
    dropped: Dropped = NOTHING_DROPPED

    @property
    def is_engaged(self) -> bool:
        """Whether it counts."""
        return self.verdict is not None


def hear(text: str, *, finish_reason: str, reviewer: str, bundle: Bundle) -> Heard:
    """Judge an answer.

    Args:
        text: All of it.
        finish_reason: As the model's server says; `length` is an answer that was cut.
        reviewer: The model, as it was asked.
        bundle: What it was shown.
    """
    read = read_answer(text, PlacesOf(bundle.files), reviewer=reviewer, bundle=bundle.number)
    kept = _deduped(read)
    verdict, why_not = _verdict(text, finish_reason, kept, bundle)
    if verdict is None:
        return Heard(reviewer, bundle.number, None, why_not, dropped=kept.dropped)
    return Heard(reviewer, bundle.number, verdict, findings=kept.findings, dropped=kept.dropped)


def not_heard(reviewer: str, bundle: int, why_not: str) -> Heard:
    """A reviewer that gave no answer: its provider failed or refused."""
    return Heard(reviewer, bundle, None, why_not)


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst of verdicts, of which there is at least one."""
    return max(verdicts, key=VERDICTS.index)


def _verdict(text: str, finish_reason: str, read: Read, bundle: Bundle) -> tuple[Verdict | None, str]:
    if not text.strip():
        return None, "its answer is empty"
    if finish_reason == "length":
        return None, "its answer was cut at the limit of tokens"
    if read.dropped.outside and not read.findings:
        return None, "it speaks of places that are not in the diff"
    has_reason = any(len(finding.reason.split()) >= LEAST_REASON_WORDS for finding in read.findings)
    if not has_reason and len(text.split()) < LEAST_WORDS:
        return None, "its answer is too short to hold an analysis"
    found = None if read.stated is None else _STATED.fullmatch(read.stated)
    if found is None and not read.findings:
        return None, "its answer holds neither a finding nor a verdict"
    verdicts: list[Verdict] = [_OF_SEVERITY[finding.severity] for finding in read.findings]
    if found is not None:
        verdicts.append(VERDICTS[VERDICTS.index(found[1].lower())])
    verdict = worst(verdicts)
    if verdict == "accept" and read.dropped.malformed:
        return None, "it accepts, and holds findings that cannot be read"
    if verdict == "accept" and not any(PurePosixPath(path).name in text for path in bundle.paths):
        return None, "it accepts, and names no file that it was shown"
    return verdict, ""


def _deduped(read: Read) -> Read:
    """One finding for each place: the worst, the first of those."""
    kept = []
    for group in same_places(read.findings):
        kept.append(min(group, key=lambda finding: SEVERITIES.index(finding.severity)))
    duplicate = len(read.findings) - len(kept)
    return replace(read, findings=tuple(kept), dropped=read.dropped + Dropped(duplicate=duplicate))
