"""Phase 3, score: scores are brought up to date, scoring again changes nothing, and every score says why.

Belongs here: the passes, the accounts of scores. Not here: scoring (see scored_days.py), rules (see lakehouse/scoring).
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from lakehouse.adapters.audit_full_evidence import index_fingerprint
from lakehouse.adapters.evidence_lake import SCORED, SCORED_TABLE, add_relations, open_lake
from lakehouse.adapters.scratch import scratch_folder
from lakehouse.catalog.partitioned import PartitionedTable
from lakehouse.counted import counted
from lakehouse.query.quoting import quote_text
from lakehouse.tables.scored import SCORES

if TYPE_CHECKING:
    from lakehouse.adapters.audit_full_parts import AuditParts
    from lakehouse.audit.results import PhaseLedger

_DAYS_AGAIN = 3
_BEHIND, _AGAIN, _SAID = "scores follow evidence", "scoring again gives the same", "every score says why"


def check_scores(parts: AuditParts, ledger: PhaseLedger) -> None:
    """Bring scores up to date, score the newest days again, and count the scores.

    Raises:
        StoreUnavailable: The store does not answer.
        InsufficientStorage: There is not enough memory or disk.
    """
    if not index_fingerprint(parts):
        for name in (_BEHIND, _AGAIN, _SAID):
            ledger.skipped(name, "there is no evidence yet")
        return
    before = index_fingerprint(parts)
    scored = parts.scored.score(parts.run)
    left = parts.scored.behind()
    has_moved = index_fingerprint(parts) != before
    ledger.measured("days_behind", len(scored))
    ledger.judge(
        _BEHIND, [] if has_moved else [f"{day} is behind still" for day in left],
        looked_at=f"{counted(len(scored), 'day', 'was')} behind and scored", remedy="lakehouse score",
    )  # fmt: skip
    _score_again(parts, ledger)
    _count(parts, ledger)


def _score_again(parts: AuditParts, ledger: PhaseLedger) -> None:
    manifest = PartitionedTable(parts.store, SCORED_TABLE).read()
    named = [name for name, partition in manifest.partitions.items() if partition.file(SCORED) is not None]
    days = [date.fromisoformat(name) for name in sorted(named)[-_DAYS_AGAIN:]]
    if not days:
        ledger.skipped(_AGAIN, "no run has a score yet")
        return
    before = index_fingerprint(parts)
    changed = [one.day for one in parts.scored.score(parts.run, days) if one.is_changed]
    if changed and index_fingerprint(parts) != before:
        ledger.skipped(_AGAIN, "evidence came meanwhile")
        return
    ledger.judge(
        _AGAIN, [f"the scores of {day} were others than its evidence gives; they are right now" for day in changed],
        looked_at=f"{counted(len(days), 'day')}, the newest",
        remedy="Find out who wrote them; builds that were made of them are made anew by `lakehouse export`",
    )  # fmt: skip


def _count(parts: AuditParts, ledger: PhaseLedger) -> None:
    manifest = PartitionedTable(parts.store, SCORED_TABLE).read()
    known = ", ".join(quote_text(score) for score in SCORES)
    with scratch_folder(parts.work_dir, "audit-scores-") as folder, open_lake(parts.location, folder) as engine:
        add_relations(engine, parts.location.bucket, parts.index.read(), manifest)
        counts = dict(engine.execute("SELECT score, count(*) FROM scored GROUP BY 1 ORDER BY 1").fetchall())
        rows = engine.execute(
            f"SELECT run_id FROM scored WHERE coalesce(score NOT IN ({known}) OR len(reasons) = 0, true)"
            " ORDER BY 1 LIMIT 100"
        ).fetchall()
    total = sum(counts.values())
    ledger.measured("runs", total)
    if not total:
        ledger.skipped(_SAID, "no run has a score yet")
        return
    for score in SCORES:
        better = {"accepted": "higher", "rejected": "lower"}.get(score, "neither")
        ledger.measured(f"{score}_share", counts.get(score, 0) / total, better)  # type: ignore[arg-type]
    shown = ", ".join(f"{count:,} {score}" for score, count in counts.items())
    ledger.judge(
        _SAID, [f"run {run_id} has none of the four scores, or no reason" for (run_id,) in rows], looked_at=shown,
        remedy="They were not written by the scorer: remove the day's file from its manifest, then lakehouse score",
    )  # fmt: skip
