"""Triage: the job that fills the queue of what needs a person, and its schedule.

Belongs here: the job and the schedule. Not here: the asset (see lakehouse_assets/triage.py).
"""

from dagster import AssetSelection, DefaultScheduleStatus, ScheduleDefinition, define_asset_job

from lakehouse_assets.triage import triage

triage_job = define_asset_job(
    "fill_triage", AssetSelection.assets(triage), description="Bring the queue of what needs a person up to date."
)
triage_schedule = ScheduleDefinition(
    name="triage_quarter_hourly",
    job=triage_job,
    cron_schedule="12,27,42,57 * * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
)
