"""The freeze: confirmed drift stops builds of corpora until somebody acknowledges it, and that is kept.

An acknowledgement is of findings under a baseline: the same drift goes on being reported and stops nothing more; a new
finding, or the same one the other way, stops builds again.

Belongs here: what is open, what an acknowledgement covers, their documents. Not here: where they lie (see
lakehouse/adapters/drift_gate.py), what is confirmed (see confirmation.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

import orjson

from lakehouse.drift.finding import Kind, kind_of
from lakehouse.drift.report import DriftReport
from lakehouse.errors import BadInput

FORMAT_VERSION = 1
MOST_CHARACTERS = 2_000
_MOST_TOLD = 5


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody's word that a drift is known and corpora may be built.

    Attributes:
        kind: Of the drift.
        day: Of the last report that it covers.
        findings: What it covers, as in `OpenDrift`.
        by: Who.
        why: Why.
        at: When, UTC, as text.
    """

    kind: Kind
    day: str
    findings: tuple[str, ...]
    by: str
    why: str
    at: str

    def to_json(self) -> bytes:
        """The stored bytes."""
        return orjson.dumps({"format_version": FORMAT_VERSION, **asdict(self)}, option=orjson.OPT_APPEND_NEWLINE)


@dataclass(frozen=True, slots=True)
class OpenDrift:
    """Confirmed drift that nobody has acknowledged.

    Attributes:
        kind: Of the drift.
        since: Day of the first report that confirms it.
        day: Day of the last one.
        findings: Keys of what is confirmed and not acknowledged, each behind the version of its baseline.
        confirmed_by: The rule of the last report.
    """

    kind: Kind
    since: date
    day: date
    findings: tuple[str, ...]
    confirmed_by: str

    def of_group(self, group: str) -> OpenDrift | None:
        """What of it is of one group, a corpus say; None: nothing is."""
        mine = tuple(mark for mark in self.findings if _parts_of(mark)[0] == group)
        return replace(self, findings=mine) if mine else None

    def to_document(self) -> dict[str, Any]:
        """The JSON object."""
        return {**asdict(self), "since": self.since.isoformat(), "day": self.day.isoformat()}

    def __str__(self) -> str:
        names = sorted({told(mark) for mark in self.findings})
        more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
        return f"{self.kind} since {self.since} ({', '.join(names[:_MOST_TOLD])}{more})"


def marks_of(report: DriftReport) -> frozenset[str]:
    """What a report confirms, each finding behind the version of its baseline; none, where it confirms nothing."""
    if report.confirmed_by is None:
        return frozenset()
    return frozenset(f"{report.baseline_version}/{key}" for key in report.confirmed)


def open_drift(reports: Sequence[DriftReport], acknowledged: Sequence[Acknowledgement]) -> OpenDrift | None:
    """What of the reports of a kind stops builds.

    Args:
        reports: Of one kind, in any order.
        acknowledged: Every acknowledgement of that kind.

    Returns:
        None: nothing does.
    """
    known = {mark for one in acknowledged for mark in one.findings}
    found: OpenDrift | None = None
    for report in sorted(reports, key=lambda one: one.day):
        marks = marks_of(report) - known
        if not marks:
            continue
        before = () if found is None else found.findings
        since = report.day if found is None else found.since
        found = OpenDrift(
            report.kind, since, report.day, tuple(sorted(marks.union(before))), report.confirmed_by or "days"
        )
    return found


def acknowledge(open_: OpenDrift, *, by: str, why: str, at: str) -> Acknowledgement:
    """The acknowledgement of an open drift.

    Raises:
        BadInput: Nobody, or no reason, is given.
    """
    for name, text in (("by", by), ("why", why)):
        if not text.strip() or len(text) > MOST_CHARACTERS:
            raise BadInput(f"{name!r} must be a text of 1 to {MOST_CHARACTERS} characters; say who, and why")
    return Acknowledgement(open_.kind, open_.day.isoformat(), open_.findings, by.strip(), why.strip(), at)


def read_acknowledgement(body: bytes, *, key: str) -> Acknowledgement:
    """A stored acknowledgement.

    Raises:
        BadInput: It is damaged.
    """
    try:
        document = orjson.loads(body)
        return Acknowledgement(
            kind_of(document["kind"]), document["day"], tuple(document["findings"]), document["by"], document["why"],
            document["at"],
        )  # fmt: skip
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise BadInput(f"{key} is not an acknowledgement of drift; delete it, and acknowledge again") from None


def told(mark: str) -> str:
    """A confirmed finding for people: `success of gpt-4 went down`."""
    group, name, way = _parts_of(mark)
    return f"{name}{f' of {group}' if group else ''}{f' went {way}' if way else ''}"


def _parts_of(mark: str) -> tuple[str, str, str]:
    """The group, the name and the way of a finding."""
    _, _, key = mark.partition("/")
    rest, _, way = key.rpartition("/")
    group, _, name = rest.rpartition("/")
    return group, name, way
