"""Housekeeping: what keeps the lake small, as assets so that their reports and their age show in the UI.

Belongs here: the jobs `gc`, `apply_retention`, `purge_runs` and `watch`, their schedules.
Not here: what is garbage (see lakehouse/operations/garbage.py).
"""

# No postponed annotations here: Dagster reads the config class from the signature.

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetsDefinition,
    AssetSelection,
    Config,
    DefaultScheduleStatus,
    FreshnessPolicy,
    MaterializeResult,
    MetadataValue,
    RunConfig,
    ScheduleDefinition,
    asset,
    define_asset_job,
)
from pydantic import Field

from lakehouse.adapters.receipt_archive import compact_receipts
from lakehouse.catalog.gc import GcReport
from lakehouse.clock import utc_now
from lakehouse.operations.garbage import collect_all_garbage
from lakehouse.operations.retention import apply_retention
from lakehouse_assets.failures import mapped_errors
from lakehouse_assets.lineage import export_lineage
from lakehouse_assets.resources import LakeStore
from lakehouse_assets.run_history import delete_run, runs_to_purge

LISTED = 50


class GarbageConfig(Config):
    """What the collection may do."""

    dry_run: bool = Field(True, description="Only report what would go.")


class RunHistoryConfig(Config):
    """What may go from Dagster's own storage."""

    keep_days: float = Field(30.0, gt=0, description="Age from which finished runs may go.")
    dry_run: bool = Field(True, description="Only report what would go.")


@asset(
    group_name="housekeeping",
    code_version="1",
    kinds={"s3"},
    owners=["team:lakehouse"],
    freshness_policy=FreshnessPolicy.time_window(fail_window=timedelta(days=3)),
)
def garbage(context: AssetExecutionContext, config: GarbageConfig, store: LakeStore) -> MaterializeResult[None]:
    """What no manifest or table refers to any more, and versions past their history: reported, or removed."""
    settings = store.lake.settings
    with mapped_errors(context.instance, context.run.run_id):
        report = collect_all_garbage(
            store.lake.objects,
            now=utc_now(),
            history=timedelta(days=settings.history_days),
            min_age=timedelta(hours=settings.gc_min_age_hours),
            dry_run=config.dry_run,
        )
    return MaterializeResult(metadata=_shown(report))


class RetentionConfig(Config):
    """What retention may do."""

    dry_run: bool = Field(True, description="Only report what would go.")


@asset(
    group_name="housekeeping",
    code_version="1",
    kinds={"s3"},
    owners=["team:lakehouse"],
    freshness_policy=FreshnessPolicy.time_window(fail_window=timedelta(days=3)),
)
def retention(context: AssetExecutionContext, config: RetentionConfig, store: LakeStore) -> MaterializeResult[None]:
    """Receipts and folded log objects past their time: reported, or removed."""
    settings = store.lake.settings
    with mapped_errors(context.instance, context.run.run_id):
        report = apply_retention(
            store.lake.objects,
            now=utc_now(),
            log_age=timedelta(days=settings.log_retention_days),
            receipt_age=timedelta(days=settings.receipt_retention_days),
            dry_run=config.dry_run,
        )
    return MaterializeResult(
        metadata={
            "dry_run": report.dry_run,
            "expired": len(report.expired),
            "bytes_expired": report.bytes_expired,
            "kept": report.kept,
        }
    )


@asset(
    group_name="housekeeping",
    code_version="1",
    owners=["team:lakehouse"],
    freshness_policy=FreshnessPolicy.time_window(fail_window=timedelta(days=15)),
)
def run_history(context: AssetExecutionContext, config: RunHistoryConfig, store: LakeStore) -> MaterializeResult[None]:
    """Dagster's own records: old runs go unless they made the latest of something; their lineage stays."""
    before = utc_now() - timedelta(days=config.keep_days)
    purged = runs_to_purge(context.instance, before=before)
    metadata: dict[str, Any] = {"purged": len(purged), "dry_run": config.dry_run}
    if not config.dry_run:
        with mapped_errors(context.instance, context.run.run_id):
            key = export_lineage(context.instance, store.lake.objects, purged, now=utc_now(), name=context.run.run_id)
        metadata["lineage"] = key or "none"
        for run_id in purged:
            delete_run(context.instance, run_id)
    return MaterializeResult(metadata=metadata)


@asset(
    group_name="housekeeping",
    code_version="1",
    kinds={"s3", "parquet"},
    owners=["team:lakehouse"],
    freshness_policy=FreshnessPolicy.time_window(fail_window=timedelta(days=3)),
)
def receipts(context: AssetExecutionContext, store: LakeStore) -> MaterializeResult[None]:
    """Receipts that are a day old, moved together into Parquet; each can still be found."""
    with mapped_errors(context.instance, context.run.run_id):
        done = compact_receipts(store.lake.objects, store.lake.work_dir, now=utc_now())
    return MaterializeResult(metadata={"moved": done.moved, "unreadable": done.unreadable})


housekeeping_assets: Sequence[AssetsDefinition] = (garbage, retention, run_history, receipts)

watch_job = define_asset_job(
    "watch", AssetSelection.checks_for_assets("landing"), description="Check that the sensors are alive."
)
gc_job = define_asset_job("gc", AssetSelection.assets(garbage), description="Collect garbage; a dry run by default.")
retention_job = define_asset_job(
    "apply_retention", AssetSelection.assets(retention), description="Apply retention; a dry run by default."
)
purge_job = define_asset_job("purge_runs", AssetSelection.assets(run_history), description="Drop old run records.")
receipts_job = define_asset_job(
    "compact_receipts", AssetSelection.assets(receipts), description="Move old receipts together into Parquet."
)
housekeeping_jobs = (gc_job, retention_job, purge_job, receipts_job, watch_job)

housekeeping_schedules = (
    ScheduleDefinition(
        name="watch_hourly",
        job=watch_job,
        cron_schedule="23 * * * *",
        execution_timezone="UTC",
        default_status=DefaultScheduleStatus.RUNNING,
    ),
    ScheduleDefinition(
        name="gc_daily",
        job=gc_job,
        cron_schedule="17 3 * * *",
        execution_timezone="UTC",
        run_config=RunConfig({"garbage": GarbageConfig(dry_run=False)}),
        default_status=DefaultScheduleStatus.RUNNING,
    ),
    ScheduleDefinition(
        name="retention_daily",
        job=retention_job,
        cron_schedule="32 3 * * *",
        execution_timezone="UTC",
        run_config=RunConfig({"retention": RetentionConfig(dry_run=False)}),
        default_status=DefaultScheduleStatus.RUNNING,
    ),
    ScheduleDefinition(
        name="compact_receipts_daily",
        job=receipts_job,
        cron_schedule="2 4 * * *",
        execution_timezone="UTC",
        default_status=DefaultScheduleStatus.RUNNING,
    ),
    ScheduleDefinition(
        name="purge_runs_weekly",
        job=purge_job,
        cron_schedule="47 3 * * 0",
        execution_timezone="UTC",
        run_config=RunConfig({"run_history": RunHistoryConfig(keep_days=30.0, dry_run=False)}),
        default_status=DefaultScheduleStatus.RUNNING,
    ),
)


def _shown(report: GcReport) -> dict[str, bool | int | MetadataValue[Any]]:
    lines = ["| key | bytes | why |", "| --- | --- | --- |"]
    lines += [f"| {g.key} | {g.size} | {g.reason} |" for g in report.collected[:LISTED]]
    return {
        "dry_run": report.dry_run,
        "collected": len(report.collected),
        "bytes_collected": report.bytes_collected,
        "kept_objects": report.kept_objects,
        "kept_versions": report.kept_versions,
        "first": MetadataValue.md("\n".join(lines)),
    }
