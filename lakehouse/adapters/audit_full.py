"""The audit of everything: its phases one after the other, the report in the bucket, the line in the run log.

A phase that raises has failed, and the others go on. When the store does not answer, none of them can run, and each
says so.

Belongs here: the order, what becomes of errors, keeping the report. Not here: each phase (see the other audit_full_
modules), the form of the report (see lakehouse/audit/report.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from lakehouse.adapters.audit_baselines import AuditBaselines
from lakehouse.adapters.audit_full_acceptance import check_acceptance
from lakehouse.adapters.audit_full_contracts import check_contracts
from lakehouse.adapters.audit_full_evidence import check_evidence
from lakehouse.adapters.audit_full_exports import check_exports
from lakehouse.adapters.audit_full_receipts import check_receipts
from lakehouse.adapters.audit_full_replay import check_replay
from lakehouse.adapters.audit_full_scores import check_scores
from lakehouse.adapters.audit_full_setup import check_setup, versions
from lakehouse.adapters.event_log import EventLog
from lakehouse.audit.baseline import Baseline
from lakehouse.audit.report import FullReport
from lakehouse.audit.results import PHASES, Check, Phase, PhaseLedger, PhaseResult, PhaseWork
from lakehouse.clock import new_id, utc_now
from lakehouse.errors import BadInput, LakehouseError

if TYPE_CHECKING:
    from lakehouse.adapters.audit_full_parts import AuditParts
    from lakehouse.lineage.findings import AuditReport

ALL = tuple(phase.number for phase in PHASES)
_STREAM = "audits"
_MARKDOWN = "text/markdown; charset=utf-8"


class FullAuditor:
    """Audits an installation.

    Args:
        parts: What it works on.
        more_setup: Checks of the set-up that only the caller can make.
        clock: The time now, aware, in UTC.
        on_phase: Called with each phase as it begins.
    """

    def __init__(
        self,
        parts: AuditParts,
        *,
        more_setup: Callable[[], Iterable[Check]] = tuple,
        clock: Callable[[], datetime] = utc_now,
        on_phase: Callable[[Phase], None] = lambda _: None,
    ) -> None:
        self._parts = parts
        self._more_setup = more_setup
        self._clock = clock
        self._on_phase = on_phase
        self._baselines = AuditBaselines(parts.store, clock=clock)
        self._is_store_there = True
        self._receipts: AuditReport | None = None
        self._baseline: Baseline | None = None

    def audit(self, only: Collection[int] = ALL) -> FullReport:
        """Go through the phases.

        Args:
            only: Numbers of those that are made; the others are skipped and say so. The first always is.

        Raises:
            BadInput: A number is none of a phase.
        """
        if strange := sorted(set(only) - set(ALL)):
            raise BadInput(f"there is no phase {strange[0]}; there are {ALL[0]} to {ALL[-1]}")
        audit_id, started_at = new_id(), self._clock()
        self._is_store_there, self._receipts, self._baseline = True, None, None
        works: tuple[PhaseWork, ...] = (
            self._setup,
            partial(check_contracts, self._parts),
            partial(check_evidence, self._parts),
            partial(check_scores, self._parts),
            partial(check_exports, self._parts),
            self._check_receipts,
            partial(check_acceptance, self._parts),
            partial(check_replay, self._parts),
        )
        done = tuple(
            self._made(phase, work, is_asked=phase.number in {0, *only})
            for phase, work in zip(PHASES, works, strict=True)
        )
        return FullReport(audit_id, started_at, self._clock(), versions(), done, self._baseline)

    def keep(self, report: FullReport, *, actor: str, client: str) -> str:
        """Store a report under `audits/<id>/` and tell the run log of it; gives the key of the one for people.

        Args:
            report: Of `audit`.
            actor: Who asked for it.
            client: From where: `cli` or `dagster`.

        Raises:
            StoreUnavailable: The store does not answer.
            Unavailable: The spool of the run log is full; the report is kept.
        """
        store, key = self._parts.store, f"{report.prefix}report.md"
        if self._receipts is not None:
            found = self._receipts
            store.put(f"{report.prefix}receipts.json", found.to_json(), content_type="application/json")
            store.put(f"{report.prefix}receipts.md", found.to_markdown().encode(), content_type=_MARKDOWN)
        store.put(key, report.to_markdown().encode(), content_type=_MARKDOWN)
        store.put(f"{report.prefix}report.json", report.to_json(), content_type="application/json")
        log = EventLog(self._parts.settings, store)
        log.start()
        try:
            log.append_sync(_STREAM, report.to_line(actor=actor, client=client))
        finally:
            log.stop()
        return key

    def set_baseline(self, report: FullReport, *, by: str) -> Baseline:
        """Make the metrics of a sound audit the baseline.

        Raises:
            BadInput: A phase failed, so that its metrics are no standard to compare with, or nothing was measured.
            Unavailable: Others kept setting one.
        """
        if not report.is_sound:
            failed = ", ".join(one.phase.name for one in report.phases if one.verdict == "fail")
            raise BadInput(f"the audit failed ({failed}), and is not a baseline; mend what it found, then run it again")
        return self._baselines.set(report.metrics, audit_id=report.audit_id, by=by)

    def _made(self, phase: Phase, work: PhaseWork, *, is_asked: bool) -> PhaseResult:
        import duckdb
        import pyarrow as pa

        ledger, begun_s = PhaseLedger(), time.perf_counter()
        if not is_asked:
            ledger.skipped("the phase", "it was not asked for")
        elif not self._is_store_there:
            ledger.skipped("the phase", "the store does not answer")
        else:
            self._on_phase(phase)
            try:
                work(ledger)
            except LakehouseError as error:
                ledger.failed("the phase", f"it broke off: {error.detail}", "Mend that, then run the audit again")
            except (duckdb.Error, pa.ArrowException) as error:
                first_line = str(error).partition("\n")[0]
                what = f"it broke off: {type(error).__name__}: {first_line}"
                ledger.failed("the phase", what, "A file is damaged or gone, which the phase `receipts` names")
        return ledger.result(phase, elapsed_ms=(time.perf_counter() - begun_s) * 1000)

    def _setup(self, ledger: PhaseLedger) -> None:
        self._is_store_there = False
        self._is_store_there = check_setup(self._parts, ledger)
        ledger.checks += self._more_setup()
        if self._is_store_there:
            self._read_baseline(ledger)

    def _check_receipts(self, ledger: PhaseLedger) -> None:
        self._receipts = check_receipts(self._parts, ledger)

    def _read_baseline(self, ledger: PhaseLedger) -> None:
        """The baseline to compare with; a damaged one fails no phase, as then no sound audit could replace it."""
        name = "the baseline"
        try:
            self._baseline = self._baselines.current()
        except BadInput as error:
            ledger.skipped(name, f"nothing is compared: {error.detail}")
            return
        if self._baseline is None:
            ledger.skipped(name, "none is set")
        else:
            ledger.passed(name, f"version {self._baseline.version}, of audit {self._baseline.audit_id}")
