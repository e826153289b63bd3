"""The report of an audit of everything, byte for byte: other programs read it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from lakehouse.audit.baseline import Baseline
from lakehouse.audit.report import FullReport
from lakehouse.audit.results import PHASES, PhaseLedger

KNOWN = Path(__file__).parent / "audit"
AT = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


def report() -> FullReport:
    phases = []
    for phase in PHASES:
        ledger = PhaseLedger()
        if phase.name == "receipts":
            ledger.judge("bytes", ["a|b <c> has other bytes"], looked_at="7 looked at", remedy="Restore it")
            ledger.measured("bytes_checked", 7)
        elif phase.name == "score":
            ledger.passed("scores follow evidence", "2 days")
            ledger.measured("accepted_share", 0.25, "higher")
            ledger.measured("rejected_share", 0.5, "lower")
            ledger.measured("runs", 1200)
        else:
            ledger.skipped("the phase", "it was not asked for")
        phases.append(ledger.result(phase, elapsed_ms=1234.5))
    before = {"score.accepted_share": 0.5, "score.rejected_share": 0.5, "receipts.bytes_checked": 6.0}
    baseline = Baseline(3, "an-earlier-one", AT, "cli", before)
    ended = AT.replace(second=30)
    return FullReport("an-audit", AT, ended, {"python": "3.11.7", "lakehouse": "0.1.0"}, tuple(phases), baseline)


def test_report_is_as_known() -> None:
    made = report()
    assert made.to_json() == (KNOWN / "report.json").read_bytes()
    assert made.to_markdown().encode() == (KNOWN / "report.md").read_bytes()
    assert made.baseline is not None
    assert made.baseline.to_json() == (KNOWN / "baseline.json").read_bytes()


def test_line_for_the_run_log_says_what_failed_and_the_numbers() -> None:
    line = report().to_line(actor="cli", client="cli")
    assert (line["action"], line["status"], line["elapsed_ms"]) == ("audit.full", "failed", 30_000.0)
    assert line["failed_phases"] == ["receipts"]
    assert len(line["skipped_phases"]) == 6
    assert line["metrics"]["score.accepted_share"] == 0.25
