"""The report of an audit of everything: phase by phase, as JSON for programs and Markdown for people.

Belongs here: both forms, the line for the run log. Not here: phases (see results.py), baselines (see baseline.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from lakehouse.audit.baseline import Baseline, change_of
from lakehouse.audit.results import PhaseResult, Verdict
from lakehouse.catalog.manifest import format_utc

FORMAT_VERSION = 1
KIND = "audit.full"
PREFIX = "audits/"
_SAID = {"pass": "passed", "fail": "**failed**", "skip": "skipped"}


@dataclass(frozen=True, slots=True)
class FullReport:
    """An audit of everything.

    Attributes:
        audit_id: Sorts by time.
        started_at: When it began, UTC.
        ended_at: When it was done, UTC.
        versions: Of the platform and of what its bytes depend on, by name.
        phases: What came of each, in order.
        baseline: What its metrics are held against, or None.
    """

    audit_id: str
    started_at: datetime
    ended_at: datetime
    versions: dict[str, str]
    phases: tuple[PhaseResult, ...]
    baseline: Baseline | None = None

    @property
    def prefix(self) -> str:
        """Where it is stored."""
        return f"{PREFIX}{self.audit_id}/"

    @property
    def is_sound(self) -> bool:
        """Whether no phase failed."""
        return all(one.verdict != "fail" for one in self.phases)

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many phases passed, failed and were skipped."""
        verdicts = [one.verdict for one in self.phases]
        return {"pass": verdicts.count("pass"), "fail": verdicts.count("fail"), "skip": verdicts.count("skip")}

    @property
    def metrics(self) -> dict[str, float]:
        """Every metric by `<phase>.<name>`."""
        return {f"{one.phase.name}.{metric.name}": metric.value for one in self.phases for metric in one.metrics}

    def to_document(self) -> dict[str, Any]:
        """The JSON document."""
        return {
            "format_version": FORMAT_VERSION,
            "kind": KIND,
            "audit_id": self.audit_id,
            "started_at": format_utc(self.started_at),
            "ended_at": format_utc(self.ended_at),
            "is_sound": self.is_sound,
            "counts": self.counts,
            "versions": self.versions,
            "baseline": None
            if self.baseline is None
            else {"version": self.baseline.version, "audit_id": self.baseline.audit_id},
            "phases": [self._phase_document(one) for one in self.phases],
        }

    def to_json(self) -> bytes:
        """The stored bytes."""
        return orjson.dumps(self.to_document(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    def to_markdown(self) -> str:
        """The report for people."""
        return "\n".join(self._markdown()) + "\n"

    def to_line(self, *, actor: str, client: str) -> dict[str, Any]:
        """The line of the stream `audits` that tells of this audit.

        Args:
            actor: Who asked for it.
            client: From where: `cli` or `dagster`.
        """
        return {
            "run_id": self.audit_id,
            "actor": actor,
            "action": "audit.full",
            "subject": self.audit_id,
            "status": "ok" if self.is_sound else "failed",
            "elapsed_ms": round((self.ended_at - self.started_at).total_seconds() * 1000, 1),
            "client": client,
            "failed_phases": [one.phase.name for one in self.phases if one.verdict == "fail"],
            "skipped_phases": [one.phase.name for one in self.phases if one.verdict == "skip"],
            "metrics": self.metrics,
        }

    def _phase_document(self, one: PhaseResult) -> dict[str, Any]:
        return {
            "number": one.phase.number,
            "name": one.phase.name,
            "meaning": one.phase.meaning,
            "verdict": one.verdict,
            "elapsed_ms": one.elapsed_ms,
            "checks": [
                {"name": check.name, "verdict": check.verdict, "what": check.what, "remedy": check.remedy}
                for check in one.checks
            ],
            "metrics": [
                {
                    "name": metric.name,
                    "value": metric.value,
                    "better": metric.better,
                    "baseline": self._before(one, metric.name),
                    "change": change_of(metric.value, self._before(one, metric.name), metric.better),
                }
                for metric in one.metrics
            ],
        }

    def _before(self, one: PhaseResult, name: str) -> float | None:
        return None if self.baseline is None else self.baseline.metrics.get(f"{one.phase.name}.{name}")

    def _markdown(self) -> Iterator[str]:
        counts = self.counts
        yield f"# Audit {self.audit_id}"
        yield ""
        verdict = "No phase failed." if self.is_sound else "**Something is wrong.**"
        yield f"{verdict} {counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped;"
        yield f"{format_utc(self.started_at)} to {format_utc(self.ended_at)}."
        yield ""
        yield "| phase | | s | what it looks at |"
        yield "| --- | --- | ---: | --- |"
        for one in self.phases:
            shown = f"{one.phase.number} {one.phase.name}"
            yield f"| {shown} | {_SAID[one.verdict]} | {one.elapsed_ms / 1000:.1f} | {one.phase.meaning} |"
        for one in self.phases:
            yield ""
            yield f"## {one.phase.number} {one.phase.name}: {_SAID[one.verdict]}"
            yield ""
            for check in one.checks:
                yield f"- {_SAID[check.verdict]}: {check.name}: {_plain(check.what)}"
                if check.verdict == "fail" and check.remedy:
                    yield f"  - what to do: {_plain(check.remedy)}"
        yield from self._markdown_metrics()
        yield ""
        yield f"Versions: {', '.join(f'{name} {version}' for name, version in self.versions.items())}."

    def _markdown_metrics(self) -> Iterator[str]:
        if not self.metrics:
            return
        yield ""
        yield "## Metrics"
        yield ""
        if self.baseline is None:
            yield "No baseline is set; `lakehouse audit full --set-baseline` makes the audit it runs the baseline."
        else:
            yield f"The baseline is version {self.baseline.version}, of audit {self.baseline.audit_id}."
        yield ""
        yield "| metric | now | baseline | |"
        yield "| --- | ---: | ---: | --- |"
        for one in self.phases:
            for metric in one.metrics:
                before = self._before(one, metric.name)
                was = "" if before is None else _number(before)
                change = change_of(metric.value, before, metric.better)
                yield f"| {one.phase.name}.{metric.name} | {_number(metric.value)} | {was} | {_change(change)} |"


def _change(change: str) -> str:
    return {"new": "", "same": "the same", "other": "another"}.get(change, change)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4f}"


def _plain(text: str) -> str:
    """Text of one line whose signs mean nothing to Markdown's tables and headings."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
