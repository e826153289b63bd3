"""What `/v1/drift` answers and takes.

Belongs here: its shapes. Not here: what the fields mean for builds (see lakehouse/drift/freeze.py).
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from lakehouse.adapters.drift_desk import KindState
from lakehouse.drift.baseline import Baseline
from lakehouse.drift.freeze import MOST_CHARACTERS, Acknowledgement, OpenDrift
from lakehouse.drift.report import DriftReport
from lakehouse_api.schemas.request_body import RequestBody

_FINDING = "3/gpt-4-0613/success/down"
_OPEN: JsonDict = {
    "since": "2026-01-02", "day": "2026-01-03", "findings": [_FINDING], "confirmed_by": "days",
}  # fmt: skip

_ACKNOWLEDGED: JsonDict = {
    "kind": "outcome", "day": "2026-01-03", "findings": [_FINDING], "by": "dana",
    "why": "the prompt was made shorter on purpose", "at": "2026-01-04T08:00:00.000000Z",
}  # fmt: skip
_STANDS: JsonDict = {
    "kind": "outcome",
    "baseline": {"version": 3, "first": "2026-01-01", "last": "2026-01-07", "by": "dana", "why": "good"},
    "latest": None, "open": _OPEN, "acknowledged": [],
}  # fmt: skip


class BaselineAnswer(BaseModel):
    """The baseline that counts."""

    version: int = Field(examples=[3])
    first: str = Field(description="First day of what it was made of.", examples=["2026-01-01"])
    last: str = Field(examples=["2026-01-07"])
    by: str = Field(examples=["dana"])
    why: str

    @classmethod
    def of(cls, made: Baseline) -> BaselineAnswer:
        """The answer for a baseline."""
        first, last = made.first.isoformat(), made.last.isoformat()
        return cls(version=made.version, first=first, last=last, by=made.by, why=made.why)


class ReportAnswer(BaseModel):
    """A report, as `report.json` has it."""

    day: str = Field(examples=["2026-01-03"])
    status: str = Field(description="`judged`, or `insufficient`: too little is known for a verdict.")
    verdict: str | None = Field(description="`stable`, `label_correction`, `drift`, or null.")
    is_confirmed: bool
    confirmed_by: str | None = Field(description="`days`, `severe`, `both`, or null.")
    reason: str = Field(description="Why there is no verdict.")
    findings: list[dict[str, Any]]
    details: dict[str, Any]

    @classmethod
    def of(cls, report: DriftReport) -> ReportAnswer:
        """The answer for a report."""
        document = report.to_document()
        return cls(**{name: document[name] for name in _MEMBERS}, **_told(document["report"]))


_MEMBERS = ("day", "status", "verdict", "is_confirmed", "confirmed_by")


def _told(report: dict[str, Any]) -> dict[str, Any]:
    return {name: report[name] for name in ("reason", "findings", "details")}


class OpenDriftAnswer(BaseModel):
    """Confirmed drift that nobody has acknowledged: corpora are not built."""

    model_config = ConfigDict(json_schema_extra={"example": _OPEN})

    since: str
    day: str
    findings: list[str] = Field(description="Each `<baseline version>/<of>/<what>/<way>`.")
    confirmed_by: str

    @classmethod
    def of(cls, found: OpenDrift) -> OpenDriftAnswer:
        """The answer for what is open."""
        return cls(
            since=found.since.isoformat(), day=found.day.isoformat(), findings=list(found.findings),
            confirmed_by=found.confirmed_by,
        )  # fmt: skip


class AcknowledgementAnswer(BaseModel):
    """Who acknowledged what, and why."""

    model_config = ConfigDict(json_schema_extra={"example": _ACKNOWLEDGED})

    kind: str = Field(examples=["outcome"])
    day: str = Field(examples=["2026-01-03"])
    findings: list[str] = Field(examples=[[_FINDING]])
    by: str = Field(examples=["dana"])
    why: str = Field(examples=["the prompt was made shorter on purpose"])
    at: str = Field(examples=["2026-01-04T08:00:00.000000Z"])

    @classmethod
    def of(cls, said: Acknowledgement) -> AcknowledgementAnswer:
        """The answer for an acknowledgement."""
        return cls(kind=said.kind, day=said.day, findings=list(said.findings), by=said.by, why=said.why, at=said.at)


class KindAnswer(BaseModel):
    """Where a kind stands."""

    kind: str = Field(examples=["outcome"])
    baseline: BaselineAnswer | None
    latest: ReportAnswer | None = Field(description="The report of the latest day there is.")
    open: OpenDriftAnswer | None
    acknowledged: list[AcknowledgementAnswer]

    @classmethod
    def of(cls, state: KindState) -> KindAnswer:
        """The answer for a state."""
        return cls(
            kind=state.kind,
            baseline=None if state.baseline is None else BaselineAnswer.of(state.baseline),
            latest=None if state.latest is None else ReportAnswer.of(state.latest),
            open=None if state.open is None else OpenDriftAnswer.of(state.open),
            acknowledged=[AcknowledgementAnswer.of(one) for one in state.acknowledged],
        )


class DriftAnswer(BaseModel):
    """Where every kind stands."""

    model_config = ConfigDict(json_schema_extra={"example": {"is_frozen": True, "kinds": [_STANDS]}})

    is_frozen: bool = Field(description="Whether corpora wait for an acknowledgement.")
    kinds: list[KindAnswer]


class AcknowledgeDrift(RequestBody):
    """Why corpora may be built although something drifted; who says so is the token's name."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"why": "the prompt was made shorter on purpose"}}
    )

    why: str = Field(min_length=1, max_length=MOST_CHARACTERS)
