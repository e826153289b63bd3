"""The second pass: whether a fix mends findings, judged by models of other lineages than those that raised them.

An answer holds blocks of `FINDING:`, `STATE:` and `WHY:`. A finding is fixed when at least one engaged model that may
judge it says so and none that may says that it is open. An answer that is empty or cut judges nothing.

Belongs here: who may judge what, reading the answers, what follows. Not here: changing findings (see life.py), asking
(see panel.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from lakehouse.catalog.manifest import format_utc
from lakehouse.errors import BadInput
from lakehouse.review.life import Change, KeptFinding, KeptFindings, may_judge
from lakehouse.review.panel import Said

_BLOCK = re.compile(r"^[\s>#*\-_]*(FINDING|STATE|WHY)[*_`]*\s*(?::|(?<=FINDING)\s)[*_`\s]*(.*)$", re.IGNORECASE)
_STATE = re.compile(r"\W*(fixed|open)\W*", re.IGNORECASE)
_LEAST_REASON_WORDS = 3


@dataclass(frozen=True, slots=True)
class Judged:
    """What one model says of one finding's fix."""

    number: int
    state: Literal["fixed", "open"]
    why: str
    reviewer: str


def to_judge(kept: KeptFindings, reviewers: Sequence[str]) -> dict[str, tuple[KeptFinding, ...]]:
    """For each reviewer the findings that it may judge: not dismissed, raised by no reviewer of its lineage.

    Raises:
        BadInput: There is nothing that any of them may judge.
    """
    alive = [finding for finding in kept.findings if finding.state != "dismissed"]
    found = {name: tuple(one for one in alive if may_judge(one, name)) for name in dict.fromkeys(reviewers)}
    if not any(found.values()):
        raise BadInput(
            f"none of {', '.join(reviewers)} may judge the findings of review {kept.review_id}: a fix is judged by a"
            " model of another lineage than those that raised the finding"
        )
    return found


def read_judgements(said: Said, findings: Sequence[KeptFinding], *, reviewer: str) -> tuple[Judged, ...]:
    """What an answer says of the findings that were asked about; nothing where it was cut.

    A finding that it names twice with two states is open.
    """
    if said.finish_reason == "length":
        return ()
    asked = {finding.number for finding in findings}
    found: dict[int, Judged] = {}
    for number, state, why in _blocks(said.content):
        if number not in asked or len(why.split()) < _LEAST_REASON_WORDS:
            continue
        before = found.get(number)
        if before is None or state == "open":
            found[number] = Judged(number, state, why, reviewer)
    return tuple(found[number] for number in sorted(found))


def changes_of(kept: KeptFindings, judged: Sequence[Judged], *, at: datetime) -> list[tuple[int, Change]]:
    """The changes of state that judgements make, by number of the finding."""
    changes = []
    for finding in kept.findings:
        heard = [one for one in judged if one.number == finding.number and may_judge(finding, one.reviewer)]
        if not heard or finding.state == "dismissed":
            continue
        against = next((one for one in heard if one.state == "open"), None)
        says = against or heard[0]
        if says.state != finding.state and not (finding.state == "deferred" and says.state == "open"):
            changes.append((finding.number, Change(says.state, says.reviewer, False, says.why, format_utc(at))))
    return changes


def _blocks(text: str) -> list[tuple[int, Literal["fixed", "open"], str]]:
    found: list[tuple[int, Literal["fixed", "open"], str]] = []
    number: int | None = None
    state: Literal["fixed", "open"] | None = None
    why: list[str] = []
    is_in_reason = False

    def finish() -> None:
        if number is not None and state is not None and why:
            found.append((number, state, " ".join(" ".join(why).split())[:2000]))

    for line in text.splitlines():
        block = _BLOCK.match(line)
        if block is None:
            if is_in_reason and line.strip():
                why.append(line.strip())
            continue
        key, value = block[1].upper(), block[2].strip()
        is_in_reason = key == "WHY"
        if key == "FINDING":
            finish()
            digits = re.match(r"#?(\d{1,6})", value)
            number, state, why = (None if digits is None else int(digits[1])), None, []
        elif key == "STATE":
            said = _STATE.fullmatch(value)
            state = None if said is None else ("fixed" if said[1].lower() == "fixed" else "open")
        else:
            why = [value] if value else []
    finish()
    return found
