"""What an audit found: findings, what was looked at, and the report as JSON and Markdown.

Belongs here: the form. Not here: looking (see lakehouse/adapters/audit.py), rules on receipts (see receipt_rules.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

import orjson

from lakehouse.catalog.manifest import format_utc

FORMAT_VERSION = 1
PREFIX = "audits/"
Severity: TypeAlias = Literal["problem", "notice"]
Check: TypeAlias = Literal["manifests", "bytes", "receipts", "lines", "chains", "orphans"]
CHECKS: dict[Check, str] = {
    "manifests": "every file that a manifest names is there, in its size",
    "bytes": "its SHA-256 is the one that the manifest says",
    "receipts": "receipts say what manifests and keys say, balance, and lie where they belong",
    "lines": "raw lines have the SHA-256 that evidence was made of",
    "chains": "raw objects behind evidence are there; runs of builds and scores serve",
    "orphans": "files of tables and builds that no live manifest names",
}
MOST_SHOWN = 100
"""So many findings of one check are kept; the others are counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        check: Which check found it.
        key: The object, build or run it is about.
        what: What is wrong.
        remedy: What to do.
        severity: A `problem` fails the audit.
    """

    check: Check
    key: str
    what: str
    remedy: str
    severity: Severity = "problem"


@dataclass(slots=True)
class Ledger:
    """Findings as they come, and how much was looked at; bounded, whatever is wrong."""

    findings: list[Finding] = field(default_factory=list)
    looked_at: dict[Check, int] = field(default_factory=dict)
    left_out: dict[Check, int] = field(default_factory=dict)
    has_problems: bool = False

    def looked(self, check: Check, count: int = 1) -> None:
        """Count what was looked at."""
        self.looked_at[check] = self.looked_at.get(check, 0) + count

    def find(self, finding: Finding) -> None:
        """Take a finding."""
        self.has_problems = self.has_problems or finding.severity == "problem"
        if sum(one.check == finding.check for one in self.findings) < MOST_SHOWN:
            self.findings.append(finding)
        else:
            self.left_out[finding.check] = self.left_out.get(finding.check, 0) + 1


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The whole report; times are UTC.

    Attributes:
        audit_id: Sorts by time.
        started_at: When it began.
        ended_at: When it was done.
        is_full: Whether bytes were read and every line was held against its bytes.
        looked_at: How much each check looked at.
        findings: What was found, problems first.
        left_out: How many findings of each check are not among them.
        is_sound: Whether there is no problem.
    """

    audit_id: str
    started_at: datetime
    ended_at: datetime
    is_full: bool
    looked_at: dict[Check, int]
    findings: tuple[Finding, ...]
    left_out: dict[Check, int]
    is_sound: bool

    @classmethod
    def of(
        cls, ledger: Ledger, *, audit_id: str, started_at: datetime, ended_at: datetime, is_full: bool
    ) -> AuditReport:
        """The report of what a ledger holds."""
        findings = sorted(ledger.findings, key=lambda one: (one.severity != "problem", [*CHECKS].index(one.check)))
        return cls(
            audit_id, started_at, ended_at, is_full, dict(ledger.looked_at), tuple(findings), dict(ledger.left_out),
            not ledger.has_problems,
        )  # fmt: skip

    @property
    def prefix(self) -> str:
        """Where it is stored."""
        return f"{PREFIX}{self.audit_id}/"

    def to_document(self) -> dict[str, Any]:
        """The JSON document."""
        document = {"format_version": FORMAT_VERSION, **asdict(self)}
        document["started_at"], document["ended_at"] = format_utc(self.started_at), format_utc(self.ended_at)
        return document

    def to_json(self) -> bytes:
        """The stored bytes."""
        return orjson.dumps(self.to_document(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    def to_markdown(self) -> str:
        """The report for people."""
        return "\n".join(self._markdown()) + "\n"

    def _markdown(self) -> Iterator[str]:
        problems = [one for one in self.findings if one.severity == "problem"]
        notices = [one for one in self.findings if one.severity != "problem"]
        yield f"# Audit {self.audit_id}"
        yield ""
        verdict = "Nothing is wrong." if self.is_sound else "**Something is wrong.**"
        yield f"{verdict} {format_utc(self.started_at)} to {format_utc(self.ended_at)},"
        yield "every byte was read." if self.is_full else "a sample of lines was read; `--full` reads every byte."
        yield ""
        yield "| check | looked at | problems | notices | |"
        yield "| --- | ---: | ---: | ---: | --- |"
        for check, meaning in CHECKS.items():
            count = f"{self.looked_at[check]:,}" if check in self.looked_at else "not done"
            found = [sum(one.check == check for one in kind) for kind in (problems, notices)]
            more = f" and {self.left_out[check]:,} more" if check in self.left_out else ""
            yield f"| {check} | {count} | {found[0]}{more} | {found[1]} | {meaning} |"
        for title, listed in (("Problems", problems), ("Notices", notices)):
            yield from _listed(title, listed)


def _listed(title: str, findings: Sequence[Finding]) -> Iterator[str]:
    if not findings:
        return
    yield ""
    yield f"## {title}"
    yield ""
    for one in findings:
        yield f"- {one.check}: {_code(one.key)} {one.what}. {one.remedy}"


def _code(text: str) -> str:
    """A key as code, whatever it holds."""
    plain = " ".join(text.split())
    ticks = "``" if "`" in plain else "`"
    return f"{ticks}{plain}{ticks}" if ticks == "`" else f"{ticks} {plain} {ticks}"
