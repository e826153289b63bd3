"""Filling the queue of a lake, end to end: sources, run log, receipt; what the asset and the command both do.

A filling that changes nothing leaves no receipt: there would be a hundred a day.

Belongs here: what is opened and closed around a filling. Not here: filling (see triage_fill.py).
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from lakehouse.adapters.event_log import EventLog
from lakehouse.adapters.evidence_materializer import RunFacts
from lakehouse.adapters.objects import S3Location
from lakehouse.adapters.triage_fill import FillReport, TriageFiller
from lakehouse.adapters.triage_queue import TriageQueue
from lakehouse.adapters.triage_sources import TriageSources
from lakehouse.clock import utc_now
from lakehouse.receipts.receipt import Receipt, ReceiptCounts, write_receipt
from lakehouse.settings import Settings
from lakehouse.storage.objects import ObjectStore

ASSET, CODE_VERSION = "triage", "1"


def fill_queue(
    settings: Settings,
    store: ObjectStore,
    location: S3Location,
    run: RunFacts,
    *,
    work_dir: Path,
    is_dry: bool = False,
) -> FillReport:
    """Bring the queue of a lake up to date.

    Args:
        settings: How long the queue may get, where the run log spools.
        store: The bucket.
        location: The bucket's address with read-only keys, for query engines.
        run: Who does it, for the receipt.
        work_dir: Local folder that query engines may spill to.
        is_dry: Only count what would be done.

    Raises:
        StoreUnavailable: The store does not answer; doing it again goes on from there.
    """
    now = utc_now()
    events = EventLog(settings, store)
    events.start()
    try:
        filler = TriageFiller(TriageQueue(store), events.append_sync, most_open=settings.triage_max_open)
        report = filler.fill(TriageSources(store, location, work_dir).items(now), now, is_dry=is_dry)
    finally:
        events.stop()
    if not is_dry and (report.added or report.updated or report.withdrawn or report.finished):
        write_receipt(store, _receipt(report, run, started_at=now, ended_at=utc_now()))
    return report


def _receipt(report: FillReport, run: RunFacts, *, started_at: datetime, ended_at: datetime) -> Receipt:
    added = sum(report.added.values())
    counts = ReceiptCounts(
        taken=added + report.known,
        new=added,
        corrected=report.updated,
        duplicate=report.known - report.updated,
        out=report.waiting,
    )
    return Receipt(
        asset=ASSET,
        partition=f"{started_at:%Y-%m-%d}",
        run_id=run.run_id,
        code_version=CODE_VERSION,
        git_commit=run.git_commit,
        started_at=started_at,
        ended_at=ended_at,
        inputs=(),
        outputs=(),
        counts=counts,
    )
