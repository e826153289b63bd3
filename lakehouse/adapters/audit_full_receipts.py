"""Phase 5, receipts: the audit of the bucket, with every byte and every raw line read.

Belongs here: that audit as a phase. Not here: the audit (see audit.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.adapters.audit import Auditor
from lakehouse.counted import counted
from lakehouse.lineage.findings import CHECKS, AuditReport, Check

if TYPE_CHECKING:
    from lakehouse.adapters.audit_full_parts import AuditParts
    from lakehouse.audit.results import PhaseLedger

_THINGS: tuple[Check, ...] = ("manifests", "receipts", "lines", "orphans")
"""What is looked at only where it is there."""
_REMEDY = "The report of the receipts beside this one names each key with its remedy"


def check_receipts(parts: AuditParts, ledger: PhaseLedger) -> AuditReport:
    """Audit the bucket in full.

    Raises:
        StoreUnavailable: The store does not answer.
        InsufficientStorage: There is not enough memory or disk.
    """
    report = Auditor(parts.store, parts.location, work_dir=parts.work_dir).audit(is_full=True)
    is_empty = not any(report.looked_at.get(check) for check in _THINGS)
    for check, meaning in CHECKS.items():
        looked_at = report.looked_at.get(check, 0)
        faults = _faults(report, check)
        if (is_empty or not looked_at) and not faults:
            ledger.skipped(check, "there is nothing to look at yet")
            continue
        notices = sum(one.check == check and one.severity == "notice" for one in report.findings)
        told = f", {counted(notices, 'notice')}" if notices else ""
        ledger.judge(check, faults, looked_at=f"{looked_at:,} looked at{told}: {meaning}", remedy=_REMEDY)
        ledger.measured(f"{check}_checked", looked_at)
    ledger.measured("notices", sum(one.severity == "notice" for one in report.findings))
    return report


def _faults(report: AuditReport, check: Check) -> list[str]:
    found = [one for one in report.findings if one.check == check and one.severity == "problem"]
    return [f"{one.key} {one.what}" for one in found]
