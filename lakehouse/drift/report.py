"""Reports: what one day's comparison found, as the JSON that is stored and as Markdown for people.

`report.json` is written once for a kind and day, by whoever is first; the Markdown and the charts are made of it alone.

Belongs here: the document, its reading, the Markdown. Not here: charts (see charts.py), what is confirmed (see
confirmation.py), where reports lie (see lakehouse/adapters/drift_reports.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, TypeAlias

import orjson

from lakehouse.catalog.manifest import format_utc, parse_utc
from lakehouse.drift.finding import Finding, Kind, kind_of
from lakehouse.drift.judging import Verdict
from lakehouse.errors import BadInput
from lakehouse.storage.format_version import require_exactly

FORMAT_VERSION = 1
PREFIX = "drift/"
_DAYS, _SEVERE = "the same finding on days that follow each other", "a severe effect"
ConfirmedBy: TypeAlias = Literal["days", "severe", "both"]


@dataclass(frozen=True, slots=True)
class DriftReport:
    """One kind on one day.

    Attributes:
        kind: What is compared.
        day: The last day that was looked at.
        created_at: When it was made, UTC.
        rules_version: Of the rules of drift.
        baseline_version: Of the baseline; None: there is none.
        verdict: None: too little is known for one, and `reason` says of what.
        findings: Every number that was compared.
        reason: Why there is no verdict.
        confirmed_by: The rule that confirms the drift; None: it is not confirmed.
        confirmed: Keys of the findings that are confirmed.
        details: Numbers of the kind, for readers and charts.
    """

    kind: Kind
    day: date
    created_at: datetime
    rules_version: str
    baseline_version: int | None
    verdict: Verdict | None
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    confirmed_by: ConfirmedBy | None = None
    confirmed: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """Where it is stored."""
        return report_prefix(self.kind, self.day)

    @property
    def status(self) -> Literal["judged", "insufficient"]:
        """Whether there is a verdict."""
        return "insufficient" if self.verdict is None else "judged"

    @property
    def drifted(self) -> tuple[Finding, ...]:
        """The findings that are drift."""
        return tuple(one for one in self.findings if one.verdict == "drift")

    def to_document(self) -> dict[str, Any]:
        """The JSON document; its first members are the columns of the view `drift_reports`."""
        return {
            "format_version": FORMAT_VERSION,
            "kind": self.kind,
            "day": self.day.isoformat(),
            "status": self.status,
            "verdict": self.verdict,
            "is_confirmed": self.confirmed_by is not None,
            "confirmed_by": self.confirmed_by,
            "baseline_version": self.baseline_version,
            "rules_version": self.rules_version,
            "created_at": format_utc(self.created_at),
            "report": {
                "reason": self.reason,
                "confirmed": list(self.confirmed),
                "findings": [one.to_document() for one in self.findings],
                "details": dict(self.details),
            },
        }

    def to_json(self) -> bytes:
        """The stored bytes: one line, so that SQL reads them as one row."""
        return orjson.dumps(
            self.to_document(), option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
        )

    def to_markdown(self) -> str:
        """The report for people."""
        return "\n".join(_markdown(self)) + "\n"


def read_report(body: bytes, *, key: str) -> DriftReport:
    """A stored report.

    Args:
        body: Its bytes.
        key: Where they lie, for the message.

    Raises:
        BadInput: It is damaged, or of a version that this program does not know.
    """
    try:
        document = orjson.loads(body)
        require_exactly(document, FORMAT_VERSION, key=key)
        told = document["report"]
        return DriftReport(
            kind=kind_of(document["kind"]),
            day=date.fromisoformat(document["day"]),
            created_at=parse_utc(document["created_at"]),
            rules_version=str(document["rules_version"]),
            baseline_version=document["baseline_version"],
            verdict=document["verdict"],
            findings=tuple(Finding.from_document(one) for one in told["findings"]),
            reason=str(told["reason"]),
            confirmed_by=document["confirmed_by"],
            confirmed=tuple(told["confirmed"]),
            details=told["details"],
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise BadInput(f"{key} is not a report of drift; delete it and run that day again") from None


def report_prefix(kind: Kind, day: date) -> str:
    """Where the report of a kind and day lies."""
    return f"{PREFIX}{kind}/{day.isoformat()}/"


def _markdown(report: DriftReport) -> Iterator[str]:
    yield f"# Drift of {report.kind}, {report.day}"
    yield ""
    yield _said(report)
    yield ""
    baseline = "none" if report.baseline_version is None else f"version {report.baseline_version}"
    yield f"Baseline: {baseline}. Rules: {report.rules_version}. Made {format_utc(report.created_at)}."
    if report.findings:
        yield ""
        yield "| what | of | baseline | now | samples | effect | p, adjusted | |"
        yield "| --- | --- | ---: | ---: | ---: | --- | ---: | --- |"
        yield from (_row(one) for one in report.findings)
    notes = [one for one in report.findings if one.note]
    if notes:
        yield ""
        yield from (f"- {_plain(one.name)} {_plain(one.group)}: {_plain(one.note)}" for one in notes)
    if "confusion" in report.details:
        yield ""
        yield from _matrix(report.details["confusion"], report.details["scores"])


def _said(report: DriftReport) -> str:
    if report.verdict is None:
        return f"**No verdict**: {report.reason}."
    if report.verdict == "drift":
        names = ", ".join(sorted({one.name for one in report.drifted}))
        if report.confirmed_by is None:
            return f"**Drift** of {names}, not confirmed yet: one more day with the same finding confirms it."
        rule = {"days": _DAYS, "severe": _SEVERE, "both": f"{_DAYS}, and by {_SEVERE}"}[report.confirmed_by]
        return f"**Confirmed drift** of {names}, by {rule}. Corpora are not built until somebody acknowledges it."
    if report.verdict == "label_correction":
        return "**Labels were corrected**; by those that were first given, the behaviour is what it was."
    return "Stable."


def _row(one: Finding) -> str:
    effect = "" if one.effect is None else f"{one.effect:+.3f} ({one.effect_name})"
    p_value = "" if one.p_adjusted is None else f"{one.p_adjusted:.2g}"
    samples = f"{one.baseline_samples:,} / {one.samples:,}"
    cells = [
        _plain(one.name), _plain(one.group), _number(one.baseline), _number(one.now), samples, effect, p_value,
        one.verdict.replace("_", " "),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _matrix(confusion: Sequence[Sequence[int]], scores: Sequence[str]) -> Iterator[str]:
    yield "Rows: by the rules of the baseline. Columns: by the rules of today."
    yield ""
    yield f"| | {' | '.join(scores)} |"
    yield f"| --- |{' ---: |' * len(scores)}"
    for score, row in zip(scores, confusion, strict=True):
        yield f"| {score} | {' | '.join(f'{count:,}' for count in row)} |"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value == int(value) and abs(value) >= 10 else f"{value:,.4g}"


def _plain(text: str) -> str:
    """Text of one line whose signs mean nothing to Markdown's tables."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
