"""Replay: the nightly job, and the hourly one that watches what was promoted.

Belongs here: jobs and schedules. Not here: the assets (see lakehouse_assets/replay.py).
"""

from collections.abc import Sequence

from dagster import AssetSelection, DefaultScheduleStatus, ScheduleDefinition, define_asset_job

from lakehouse_assets.replay import promotion_watch, replay

replay_job = define_asset_job(
    "nightly_replay", AssetSelection.assets(replay), description="Ask past tasks again, and try a proposal."
)
promotion_watch_job = define_asset_job(
    "watch_promotions",
    AssetSelection.assets(promotion_watch),
    description="Take back configs whose outcomes fell below what was expected.",
)
replay_jobs = (replay_job, promotion_watch_job)

replay_nightly = ScheduleDefinition(
    name="replay_nightly",
    job=replay_job,
    cron_schedule="30 2 * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
)
promotion_watch_hourly = ScheduleDefinition(
    name="promotion_watch_hourly",
    job=promotion_watch_job,
    cron_schedule="35 * * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
)
replay_schedules: Sequence[ScheduleDefinition] = (replay_nightly, promotion_watch_hourly)
