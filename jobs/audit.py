"""The audit of the whole platform: its job, and the schedules that run it.

Every day all phases are made but the one that reads every byte of the bucket, which the weekly run has.

Belongs here: the job, its schedules. Not here: the asset (see lakehouse_assets/audit_full.py).
"""

# No postponed annotations here: as in the other modules of definitions.

from collections.abc import Sequence

from dagster import AssetSelection, DefaultScheduleStatus, RunConfig, ScheduleDefinition, define_asset_job

from lakehouse_assets.audit_full import AuditConfig, audit_full

READS_EVERY_BYTE = 5
_BUT_BYTES = AuditConfig(phases=[n for n in range(8) if n != READS_EVERY_BYTE], set_baseline=False)

audit_job = define_asset_job(
    "audit_everything", AssetSelection.assets(audit_full), description="Audit the whole platform, phases 0 to 7."
)
audit_schedules: Sequence[ScheduleDefinition] = (
    ScheduleDefinition(
        name="audit_daily",
        job=audit_job,
        cron_schedule="41 4 * * 1-6",
        execution_timezone="UTC",
        run_config=RunConfig({"audit_full": _BUT_BYTES}),
        default_status=DefaultScheduleStatus.RUNNING,
    ),
    ScheduleDefinition(
        name="audit_weekly",
        job=audit_job,
        cron_schedule="41 4 * * 0",
        execution_timezone="UTC",
        default_status=DefaultScheduleStatus.RUNNING,
    ),
)
