"""Drift: the job that reports every kind, and the schedule that asks for it every day, when scores are there.

Belongs here: the job, its schedule. Not here: the assets (see lakehouse_assets/drift.py).
"""

from collections.abc import Sequence

from dagster import (
    AssetSelection,
    DefaultScheduleStatus,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    define_asset_job,
    schedule,
)

from lakehouse_assets.drift import drift_assets

drift_job = define_asset_job(
    "drift", AssetSelection.assets(*drift_assets), description="Report yesterday's drift of every kind."
)
drift_jobs = (drift_job,)


@schedule(
    name="drift_daily",
    job=drift_job,
    cron_schedule="40 5,11,17 * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
)
def drift_daily(context: ScheduleEvaluationContext) -> RunRequest:
    """Three runs a day: what the first could not do, for the store was away or nobody had scored, the next ones do."""
    return RunRequest(run_key=f"drift.{context.scheduled_execution_time:%Y-%m-%dT%H}")


drift_schedules: Sequence[ScheduleDefinition] = (drift_daily,)
