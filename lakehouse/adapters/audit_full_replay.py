"""Phase 7, live replay: a handful of past tasks run again, end to end.

Belongs here: choosing the tasks, running them, what is a pass. Not here: replaying (see lakehouse/replay).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.adapters.audit_full_parts import AuditParts
    from lakehouse.audit.results import PhaseLedger


def check_replay(parts: AuditParts, ledger: PhaseLedger) -> None:
    """Say that this program replays nothing yet."""
    del parts
    ledger.skipped("past tasks run again", "this version of the program has no replay")
