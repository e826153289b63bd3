"""Audit lines of runs: what changed a dataset goes into the same log as what HTTP did.

Belongs here: the line and its writing.
Not here: the log (see lakehouse/adapters/event_log.py), receipts (see dataset.py).
"""

from __future__ import annotations

from lakehouse.adapters.event_log import EventLog
from lakehouse.catalog.manifest import Manifest
from lakehouse_assets.resources import LakeConnection

STREAM = "audits"


def record_ingest(lake: LakeConnection, manifest: Manifest, *, actor: str, run_id: str, elapsed_ms: float) -> None:
    """Write down durably that a run made a version; returns when the line is on disk.

    Raises:
        Unavailable: The spool is full.
    """
    log = EventLog(lake.settings, lake.objects)
    log.start()
    try:
        line = {
            "run_id": run_id,
            "actor": actor,
            "action": "ingest",
            "subject": manifest.name,
            "status": "ok",
            "elapsed_ms": round(elapsed_ms, 1),
            "rows": manifest.row_count,
            "bytes": manifest.size_bytes,
            "client": "dagster",
        }
        log.append_sync(STREAM, line)
    finally:
        log.stop()
