"""Drift end to end: baselines set, days reported, drift acknowledged; what assets, commands and the API call.

Belongs here: the order of steps, the line in the run log. Not here: measuring (see the meters: drift_runs.py,
drift_scores.py, drift_playbook.py, drift_vectors.py, drift_audits.py), reports (see drift_reports.py).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

from lakehouse.adapters.drift_audits import AuditsMeter
from lakehouse.adapters.drift_baselines import DriftBaselines
from lakehouse.adapters.drift_evidence import EvidenceSource
from lakehouse.adapters.drift_gate import DriftGate
from lakehouse.adapters.drift_playbook import PlaybookMeter
from lakehouse.adapters.drift_reports import DriftReports, Published
from lakehouse.adapters.drift_runs import RunsMeter
from lakehouse.adapters.drift_scores import ScoresMeter
from lakehouse.adapters.drift_vectors import VectorsMeter
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.objects import S3Location
from lakehouse.adapters.scratch import scratch_folder
from lakehouse.clock import new_id, utc_now
from lakehouse.drift.baseline import Baseline
from lakehouse.drift.confirmation import confirmed
from lakehouse.drift.finding import Finding, Kind
from lakehouse.drift.freeze import MOST_CHARACTERS, Acknowledgement, OpenDrift
from lakehouse.drift.judging import judge, verdict_of
from lakehouse.drift.meter import Comparison, Meter
from lakehouse.drift.report import DriftReport
from lakehouse.drift.rule_file import DriftRules, default_rules
from lakehouse.errors import BadInput, PreconditionFailed
from lakehouse.events.envelope import make_line, part_key
from lakehouse.storage.objects import ObjectStore

STREAM, AUDITS = "observer_events", "audits"
_NAMESPACE = uuid.UUID("6d0c8f4e-7a35-5b1e-9d2b-2f6f0b8a1c74")
_VERDICTS = {"stable": "accept", "label_correction": "cycle", "drift": "reject"}


@dataclass(frozen=True, slots=True)
class KindState:
    """Where a kind stands: its baseline, its latest report, what keeps the gate shut, who acknowledged what."""

    kind: Kind
    baseline: Baseline | None
    latest: DriftReport | None
    open: OpenDrift | None
    acknowledged: tuple[Acknowledgement, ...]


class DriftDesk:
    """Drift of one bucket.

    Args:
        store: The bucket.
        location: The bucket's address with read-only keys, for query engines.
        tables: Its Lance tables.
        work_dir: Local folder for temporary files.
        rules: The rules; the platform's by default.
        clock: The time now.
        meters: Meters that take the place of the platform's.
        reports: The reports of the bucket, drawn in another way.
    """

    def __init__(
        self,
        store: ObjectStore,
        location: S3Location,
        tables: LanceTables,
        *,
        work_dir: Path,
        rules: DriftRules | None = None,
        clock: Callable[[], datetime] = utc_now,
        meters: Mapping[Kind, Meter] | None = None,
        reports: DriftReports | None = None,
    ) -> None:
        self._store = store
        self._work_dir = work_dir
        self._clock = clock
        self.rules = rules or default_rules()
        self.reports = reports or DriftReports(store)
        self.gate = DriftGate(store, clock=clock)
        self._baselines = DriftBaselines(store, clock=clock)
        source = EvidenceSource(store, location, work_dir)
        self._audits = AuditsMeter(store, self.rules)
        self._meters: dict[Kind, Meter] = {
            "scorer": ScoresMeter(source, self.rules),
            "playbook": PlaybookMeter(source, tables, self.rules),
            "embedding": VectorsMeter(tables, self.rules),
            "audit": self._audits,
            "outcome": RunsMeter(source, self.rules),
            **(meters or {}),
        }

    def baseline(self, kind: Kind) -> Baseline | None:
        """The baseline that counts; None: none was ever set."""
        return self._audits.baseline() if kind == "audit" else self._baselines.live(kind)

    def set_baseline(self, kind: Kind, *, first: date | None, last: date | None, by: str, why: str) -> Baseline:
        """Make what ran on some days the baseline.

        Args:
            kind: Of which.
            first: The first day; None: as many days as the rules say.
            last: The last day; None: yesterday.
            by: Who.
            why: Why.

        Raises:
            BadInput: The days are in the wrong order, not over, or hold nothing; nobody, or no reason, is given.
            StoreUnavailable: The store does not answer; what counted goes on counting.
        """
        for name, text in (("by", by), ("why", why)):
            if not text.strip() or len(text) > MOST_CHARACTERS:
                raise BadInput(f"{name!r} must be a text of 1 to {MOST_CHARACTERS} characters; say who, and why")
        last = last or self.yesterday()
        first = first or last - timedelta(days=self.rules.kinds[kind].baseline_days - 1)
        if last < first:
            raise BadInput(f"the last day, {last}, lies before the first, {first}; give them the other way round")
        if last > self.yesterday():
            raise BadInput(
                f"{last} is not over (UTC), and a baseline is not made anew: what still runs on that day would be"
                f" missing from it; take days up to {self.yesterday()}"
            )
        with scratch_folder(self._work_dir, "drift-baseline-") as folder:
            taken = self._meters[kind].take(first, last, folder)
            if not taken.samples:
                raise BadInput(f"nothing is known of {kind} from {first} to {last}; take days on which something ran")
            return self._baselines.set(kind, taken, first=first, last=last, by=by.strip(), why=why.strip())

    def run(self, kind: Kind, day: date | None = None, *, is_dry: bool = False) -> Published:
        """Report a day, unless its report is there already.

        Args:
            kind: Of which.
            day: The day; None: yesterday.
            is_dry: Compare, and keep nothing.

        Raises:
            BadInput: The day is not over, and the report is to be kept.
            StoreUnavailable: The store does not answer; running it again goes on from here.
        """
        day = day or self.yesterday()
        if is_dry:
            return Published(self._compared(kind, day), False)
        if day > self.yesterday():
            raise BadInput(f"{day} is not over (UTC), and a report is written once; wait, or look with --dry-run")
        there = self.reports.read(kind, day)
        if there is not None and there.verdict is not None:
            done = self.reports.publish(there)  # what lies beside it may be missing
        else:
            done = self.reports.publish(self._compared(kind, day))
        self._log(done.report)
        return done

    def acknowledge(self, kind: Kind, *, by: str, why: str) -> Acknowledgement:
        """Acknowledge what of a kind keeps the gate shut, and write an audit line of it.

        Raises:
            BadInput: Nobody, or no reason, is given.
            Conflict: Nothing of that kind is open.
        """
        said = self.gate.acknowledge(kind, by=by, why=why)
        line = {"actor": said.by, "action": "drift.acknowledge", "subject": kind, "status": "ok", "client": "cli"}
        now, run_id = self._clock(), new_id()
        body = make_line(AUDITS, {**line, "why": said.why}, run_id=run_id, recorded_at=now)
        self._store.put(part_key(AUDITS, f"{now:%Y-%m-%d}", f"drift-{run_id}"), body, content_type="application/jsonl")
        return said

    def state(self, kind: Kind) -> KindState:
        """Where a kind stands."""
        return KindState(
            kind,
            self.baseline(kind),
            self.reports.latest(kind),
            self.gate.open_drift(kind),
            tuple(self.gate.acknowledgements(kind)),
        )

    def yesterday(self) -> date:
        """The last day that is over, UTC."""
        return self._clock().date() - timedelta(days=1)

    def _compared(self, kind: Kind, day: date) -> DriftReport:
        baseline = self.baseline(kind)
        version = None if baseline is None else baseline.version
        report = DriftReport(kind, day, self._clock(), self.rules.version, version, None)
        if baseline is None:
            how = "lakehouse audit full --set-baseline" if kind == "audit" else f"lakehouse drift baseline {kind}"
            return replace(report, reason=f"no baseline is set; set one with: {how}")
        with scratch_folder(self._work_dir, "drift-") as folder:
            file = self._baselines.fetch(baseline, folder)
            found = self._meters[kind].compare(baseline, file, day)
        judged = self._judged(report, found)
        # As far back as days without a verdict may lie between.
        far = self.rules.within_days_of(kind) * self.rules.confirm_days
        return confirmed(judged, self.reports.recent(kind, day, most_days=far), self.rules)

    def _judged(self, report: DriftReport, found: Comparison) -> DriftReport:
        findings = judge(found.findings, self.rules)
        verdict = verdict_of(findings)
        if verdict == "stable" and found.corrected_share >= self.rules.effects["moved_share"].floor:
            verdict = "label_correction"
        reason = "" if verdict is not None else found.reason or "; ".join(_notes(findings)) or "nothing was compared"
        return replace(report, verdict=verdict, findings=findings, reason=reason, details=found.details)

    def _log(self, report: DriftReport) -> None:
        """What was found becomes evidence: one line, always the same, in the day on which the report was made."""
        name = f"drift-{report.kind}-{report.day}-{report.status}"
        run_id = str(uuid.uuid5(_NAMESPACE, f"{report.kind}/{report.day}"))
        line = {
            "actor": "drift",
            "source": "drift",
            "kind": report.kind,
            "subject": f"{report.prefix}report.json",
            "verdict": None if report.verdict is None else _VERDICTS[report.verdict],
            "data": {
                "status": report.status,
                "verdict": report.verdict,
                "confirmed_by": report.confirmed_by,
                "findings": [one.key for one in report.drifted],
            },
        }
        body = make_line(STREAM, line, run_id=run_id, recorded_at=report.created_at)
        key = part_key(STREAM, f"{report.created_at:%Y-%m-%d}", name)
        try:
            self._store.put(key, body, if_absent=True, content_type="application/jsonl")
        except PreconditionFailed:
            return  # it is there


def _notes(findings: tuple[Finding, ...]) -> list[str]:
    return [f"{one.name} {one.group}".strip() + f": {one.note}" for one in findings[:5]]
