"""Run history: which of Dagster's run records may go.

Belongs here: choosing and deleting old runs. Not here: when (see jobs/housekeeping.py), what is kept of them (see
lineage.py).
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from dagster import AssetKey, DagsterInstance, RunsFilter

from lakehouse_assets.run_statuses import FINISHED

BATCH = 500


def runs_to_purge(instance: DagsterInstance, *, before: datetime) -> list[str]:
    """Finished runs created before a time, except those that made the latest version of something; oldest last.

    Args:
        instance: Dagster's storage.
        before: Runs created from then on stay; aware.
    """
    kept = latest_runs(instance)
    old = instance.get_runs(RunsFilter(statuses=list(FINISHED), created_before=before))
    return [run.run_id for run in old if run.run_id not in kept]


def delete_run(instance: DagsterInstance, run_id: str) -> None:
    """Delete a run with what Dagster leaves on the disk of one: its captured output, its own SQLite file."""
    from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage

    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    events = instance.event_log_storage
    if isinstance(events, SqliteEventLogStorage):
        for suffix in ("", "-wal", "-shm"):
            Path(events.path_for_shard(run_id) + suffix).unlink(missing_ok=True)


def latest_runs(instance: DagsterInstance) -> set[str]:
    """Runs that made the latest materialization of an asset or of one of its partitions."""
    kept: set[str] = set()
    keys = instance.all_asset_keys()
    for record in instance.get_asset_records(keys):
        event = record.asset_entry.last_materialization
        if event is not None:
            kept.add(event.run_id)
    for key in keys:
        kept |= _latest_of_partitions(instance, key)
    return kept


def _latest_of_partitions(instance: DagsterInstance, key: AssetKey) -> set[str]:
    from dagster import DagsterEventType

    latest = instance.event_log_storage.get_latest_storage_id_by_partition(key, DagsterEventType.ASSET_MATERIALIZATION)
    ids = sorted(latest.values())
    kept: set[str] = set()
    for start in range(0, len(ids), BATCH):
        from dagster import AssetRecordsFilter

        found = instance.fetch_materializations(
            AssetRecordsFilter(asset_key=key, storage_ids=ids[start : start + BATCH]), limit=BATCH
        )
        kept.update(record.run_id for record in found.records)
    return kept
