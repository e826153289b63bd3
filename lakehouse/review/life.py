"""The life of findings: open, fixed, dismissed or deferred, each change with who made it and why.

A person may set any state, and set a finding open again. A model may say that an open or deferred one is fixed, or that
one that a person calls fixed is still open, where its lineage is none of those that raised it.

Belongs here: states and changes, the JSON document. Not here: where it is kept (see
lakehouse/adapters/review_store.py), asking the second model (see second_pass.py), false positives (see rates.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal, get_args

from lakehouse.catalog.manifest import BrokenManifest, format_utc
from lakehouse.errors import BadInput, NotFound
from lakehouse.review.review import Review
from lakehouse.scoring.lineage import lineage_of
from lakehouse.storage.format_version import require_not_newer

State = Literal["open", "fixed", "dismissed", "deferred"]
STATES: tuple[State, ...] = get_args(State)
FORMAT_VERSION = 1
_MOST_WHY = 2000


@dataclass(frozen=True, slots=True)
class Change:
    """A change of state: by whom (a person's name, or a model), why, when."""

    state: State
    by: str
    is_human: bool
    why: str
    at: str


@dataclass(frozen=True, slots=True)
class KeptFinding:
    """A finding with its life; `number` is its name within the review, `lineages` are those that raised its point."""

    number: int
    severity: str
    where: str
    reason: str
    reviewer: str
    lineage: str
    lineages: tuple[str, ...]
    bundle: int
    state: State = "open"
    history: tuple[Change, ...] = ()

    def was_told(self, change: Change) -> bool:
        """Whether the last change is the same word of the same person."""
        last = self.history[-1] if self.history else None
        return last is not None and (last.state, last.by, last.is_human) == (change.state, change.by, change.is_human)


@dataclass(frozen=True, slots=True)
class KeptFindings:
    """The findings of a review; `version` rises with every change."""

    review_id: str
    source: str
    version: int
    findings: tuple[KeptFinding, ...]

    def of(self, number: int) -> KeptFinding:
        """A finding.

        Raises:
            NotFound: The review has none of this number.
        """
        for finding in self.findings:
            if finding.number == number:
                return finding
        raise NotFound(f"review {self.review_id} has no finding {number}; see: lakehouse review show {self.review_id}")

    def changed(self, numbers: Sequence[int], change: Change) -> KeptFindings:
        """The findings after a change to some of them.

        Raises:
            NotFound: The review has none of such a number.
            BadInput: The change has no reason or nobody who makes it, changes nothing, or is not its model's to make.
        """
        if not change.why.strip() or not change.by.strip():
            raise BadInput("a change of a finding needs who makes it (--by) and why (--why)")
        if len(change.why) > _MOST_WHY:
            raise BadInput(f"the reason of a change has at most {_MOST_WHY} characters")
        changed = {number: _changed(self.of(number), change) for number in numbers}
        findings = tuple(changed.get(finding.number, finding) for finding in self.findings)
        return replace(self, version=self.version + 1, findings=findings)

    def to_document(self) -> dict[str, Any]:
        """The JSON document."""
        return {"format_version": FORMAT_VERSION, **asdict(self)}

    @classmethod
    def from_document(cls, document: Any, *, key: str) -> KeptFindings:
        """Read a document.

        Raises:
            BrokenManifest: It is none.
        """
        try:
            require_not_newer(document, FORMAT_VERSION)
            findings = tuple(map(_finding, document["findings"]))
            return cls(document["review_id"], document["source"], int(document["version"]), findings)
        except (KeyError, TypeError, ValueError) as error:
            raise BrokenManifest(f"{key!r} holds no findings ({error}): restore it from a backup", key=key) from None


def keep(review: Review) -> KeptFindings:
    """The findings of a new review, all open, numbered in the order of its points."""
    kept: list[KeptFinding] = []
    for point in review.points:
        kept += [
            KeptFinding(
                number=len(kept) + place,
                severity=finding.severity,
                where=str(finding.place),
                reason=finding.reason,
                reviewer=finding.reviewer,
                lineage=lineage_of(finding.reviewer),
                lineages=point.lineages,
                bundle=finding.bundle,
            )
            for place, finding in enumerate(point.findings, 1)
        ]
    return KeptFindings(review.review_id, review.diff.source, 1, tuple(kept))


def person_says(state: str, *, by: str, why: str, at: datetime) -> Change:
    """A person's change.

    Raises:
        BadInput: There is no such state.
    """
    if state not in STATES:
        raise BadInput(f"{state!r} is not a state of a finding; states are {', '.join(STATES)}")
    return Change(STATES[STATES.index(state)], by, True, why, format_utc(at))


def may_judge(finding: KeptFinding, model: str) -> bool:
    """Whether a model may judge a fix: its lineage raised no finding at this place."""
    return lineage_of(model) not in finding.lineages


def false_positives(findings: Iterable[KeptFinding]) -> tuple[int, int]:
    """How many of the findings that were decided are dismissed, and how many were decided: deferred ones hold, too."""
    decided = [finding.state for finding in findings if finding.state != "open"]
    return decided.count("dismissed"), len(decided)


def _changed(finding: KeptFinding, change: Change) -> KeptFinding:
    if change.state == finding.state:
        raise BadInput(f"finding {finding.number} is {finding.state} already; nothing was changed")
    if not change.is_human:
        if change.state not in ("open", "fixed") or finding.state == "dismissed":
            raise BadInput(f"finding {finding.number}: a model says fixed or open, of findings that are not dismissed")
        if not may_judge(finding, change.by):
            raise BadInput(
                f"finding {finding.number} was raised by the lineage of {change.by!r}; a model of another one judges it"
            )
    return replace(finding, state=change.state, history=(*finding.history, change))


def _finding(said: dict[str, Any]) -> KeptFinding:
    history = tuple(Change(**change) for change in said["history"])
    if said["state"] not in STATES:
        raise ValueError(f"state {said['state']!r}")
    return KeptFinding(**{**said, "lineages": tuple(said["lineages"]), "history": history})
