"""Phase 2, materialize: evidence is brought up to date, a second pass changes nothing, and a day made again is equal.

Lines that arrive during the audit are no fault: a day whose raw objects have changed meanwhile is left to the next run.

Belongs here: the passes, days made again. Not here: making evidence (see evidence_materializer.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.adapters.evidence_lake import CURRENT
from lakehouse.adapters.evidence_materializer import EVIDENCE, QUARANTINE, SUPERSEDED, TABLE
from lakehouse.adapters.evidence_raw import fetch_objects, list_days
from lakehouse.adapters.evidence_workshop import Workshop
from lakehouse.catalog.partitioned import Partition, PartitionedTable
from lakehouse.counted import counted
from lakehouse.evidence.days import RawObject, fingerprint_of
from lakehouse.evidence.transforms import TRANSFORMS, transform_of
from lakehouse.storage.publish import hash_file

if TYPE_CHECKING:
    from lakehouse.adapters.audit_full_parts import AuditParts
    from lakehouse.audit.results import PhaseLedger

_Days = dict[str, Mapping[date, list[RawObject]]]
_AGAIN = "days made again have the same bytes"
_DAYS_AGAIN = 1
"""So many days of each stream are made again: its newest that is at rest."""


def check_evidence(parts: AuditParts, ledger: PhaseLedger) -> None:
    """Bring evidence up to date, do so again, and make some days once more.

    Raises:
        StoreUnavailable: The store does not answer.
        InsufficientStorage: The disk has no room.
    """
    if not any(list_days(parts.store, stream, None) for stream in TRANSFORMS):
        for name in ("raw lines become evidence", "a second pass has nothing to do", _AGAIN):
            ledger.skipped(name, "there are no raw lines yet")
        return
    first: _Days = {stream: parts.materializer.behind(stream) for stream in TRANSFORMS}
    _make(parts, first, ledger)
    _pass_again(parts, first, ledger)
    _check_accounts(parts, ledger)
    _make_again(parts, ledger)


def _make(parts: AuditParts, behind: _Days, ledger: PhaseLedger) -> None:
    made, lost = 0, []
    for stream, days in behind.items():
        for result in parts.materializer.materialize(stream, sorted(days), parts.run):
            made += result.is_new
            lost += [f"{stream} of {result.day} was made of {key}, which is gone" for key in result.lost]
    parts.index.refresh()
    ledger.measured("days_behind", sum(map(len, behind.values())))
    ledger.judge(
        "raw lines become evidence", lost, looked_at=f"{counted(made, 'day', 'was')} behind and made",
        remedy="Raw logs are kept for ever: restore the objects from a backup",
    )  # fmt: skip


def _pass_again(parts: AuditParts, before: _Days, ledger: PhaseLedger) -> None:
    faults, hits, moved = [], 0, 0
    for stream, old in before.items():
        behind = parts.materializer.behind(stream)
        changed = {day for day, objects in behind.items() if old.get(day) != objects}
        moved += len(changed)
        faults += [f"{stream} of {day} is behind once more" for day in sorted(behind.keys() - changed)]
        known = PartitionedTable(parts.store, TABLE + stream).read().partitions
        days = sorted(date.fromisoformat(day) for day in known.keys() - {day.isoformat() for day in behind})
        for result in parts.materializer.materialize(stream, days, parts.run):
            hits += not result.is_new
            was = known[result.day.isoformat()].fingerprint
            if result.is_new and result.partition is not None and result.partition.fingerprint == was:
                faults.append(f"{stream} of {result.day} was made twice of the same lines")
    _, is_new = parts.index.refresh()
    if is_new and not moved:
        faults.append("the index was made twice of the same evidence")
    ledger.measured("memo_hits", hits)
    came = f", {moved:,} got new lines meanwhile" if moved else ""
    ledger.judge(
        "a second pass has nothing to do", faults, looked_at=f"{counted(hits, 'day', 'was')} left as they are{came}",
        remedy="Something keeps changing raw objects or manifests: look at the receipts of these days",
    )  # fmt: skip


def _check_accounts(parts: AuditParts, ledger: PhaseLedger) -> None:
    limit = parts.settings.evidence_max_quarantined_share
    faults, taken, refused, records = [], 0, 0, 0
    for stream in TRANSFORMS:
        for day, partition in PartitionedTable(parts.store, TABLE + stream).read().partitions.items():
            counts = partition.counts
            taken, refused, records = taken + counts["in"], refused + counts["quarantined"], records + counts["out"]
            if counts["in"] and counts["quarantined"] / counts["in"] > limit:
                faults.append(
                    f"{stream} of {day}: {counts['quarantined']:,} of {counted(counts['in'], 'line')} did not fit"
                )
    ledger.measured("records", records)
    ledger.measured("quarantined_share", refused / taken if taken else 0.0)
    ledger.judge(
        "few lines do not fit", faults,
        looked_at=f"{counted(taken, 'line')}, {refused:,} in quarantine, {limit:.1%} allowed a day",
        remedy="`FROM quarantine` in SQL says why; LAKEHOUSE_EVIDENCE_MAX_QUARANTINED_SHARE is the limit",
    )  # fmt: skip


def _make_again(parts: AuditParts, ledger: PhaseLedger) -> None:
    faults, again = [], 0
    with Workshop(parts.work_dir) as workshop:
        for stream in TRANSFORMS:
            manifest = PartitionedTable(parts.store, TABLE + stream).read()
            for day, objects in sorted(list_days(parts.store, stream, None).items(), reverse=True)[:_DAYS_AGAIN]:
                known = manifest.partitions.get(day.isoformat())
                if known is None or known.fingerprint != fingerprint_of(stream, transform_of(stream).version, objects):
                    continue
                again += 1
                with workshop.folder() as folder:
                    found = _hashes(parts, workshop, stream, objects, folder)
                differing = sorted(role for role in found if found[role] != _sha256_in(known, role))
                if differing:
                    faults.append(f"{stream} of {day}: {', '.join(differing)} would have other bytes now")
    if not again:
        ledger.skipped(_AGAIN, "every newest day got lines meanwhile")
        return
    ledger.judge(
        _AGAIN, faults, looked_at=f"{counted(again, 'day')}, the newest of each stream",
        remedy="The same lines gave other bytes before: was a raw object changed, or a library upgraded?",
    )  # fmt: skip


def _hashes(
    parts: AuditParts, workshop: Workshop, stream: str, objects: list[RawObject], folder: Path
) -> dict[str, str | None]:
    """SHA-256 by role of the files that a day would have now."""
    fetched = fetch_objects(parts.store, objects, folder)
    made = workshop.engine.materialize(transform_of(stream), [file for file, _ in fetched], folder)
    files = {
        EVIDENCE: made.evidence if made.counts.new else None,
        SUPERSEDED: made.superseded,
        QUARANTINE: made.quarantine,
    }
    return {role: None if path is None else hash_file(path) for role, path in files.items()}


def _sha256_in(partition: Partition, role: str) -> str | None:
    file = partition.file(role)
    return None if file is None else file.sha256


def index_fingerprint(parts: AuditParts) -> str:
    """What the index is made of now; empty before there is one."""
    current = parts.index.read().partitions.get(CURRENT)
    return "" if current is None else current.fingerprint
