"""Evidence: jobs, and the schedules that look after days whose raw lines, or whose scores, are behind.

Belongs here: jobs, schedules, which days they ask for. Not here: the assets (see lakehouse_assets/evidence.py).
"""

# No postponed annotations here: Dagster reads the context class from the signature.

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from dagster import (
    AssetSelection,
    DefaultScheduleStatus,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    define_asset_job,
    schedule,
)

from lakehouse.adapters.evidence_raw import unknown_streams, unread_keys
from lakehouse.clock import utc_now
from lakehouse.counted import counted
from lakehouse.errors import LakehouseError
from lakehouse.evidence.days import days_between, fingerprint_of, unknown_streams_remedy, unread_remedy
from lakehouse.evidence.transforms import TRANSFORMS
from lakehouse_assets.catching_up import TAGS, waiting
from lakehouse_assets.drift import drift_checks
from lakehouse_assets.evidence import evidence_assets, evidence_index, evidence_key
from lakehouse_assets.exports import export_assets
from lakehouse_assets.fold_back import fold_back
from lakehouse_assets.partitions import days_partitions
from lakehouse_assets.resources import LakeConnection, LakeStore
from lakehouse_assets.scored import scored

MOST_DAYS = 50
"""So many days are asked for by one tick; the next one goes on."""
_RECENT = timedelta(days=3)

evidence_job = define_asset_job(
    "evidence",
    AssetSelection.assets(*evidence_assets),
    description="Bring the evidence of a day up to date with its raw lines.",
)
index_job = define_asset_job(
    "index_evidence", AssetSelection.assets(evidence_index), description="Bring the index of evidence up to date."
)
score_job = define_asset_job("score", AssetSelection.assets(scored), description="Score the runs of a day.")
export_job = define_asset_job(
    "export",
    AssetSelection.assets(*export_assets) | AssetSelection.checks(*drift_checks),
    description="Build the corpora of what is scored, unless drift is confirmed that nobody has acknowledged.",
)
fold_back_job = define_asset_job(
    "fold_back_accepted",
    AssetSelection.assets(fold_back),
    description="Fold accepted runs and outcomes back into memory.",
)
evidence_jobs = (evidence_job, index_job, score_job, export_job, fold_back_job)


@schedule(
    name="evidence_behind",
    target=AssetSelection.assets(*evidence_assets),
    cron_schedule="*/10 * * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
)
def evidence_behind(context: ScheduleEvaluationContext, store: LakeStore) -> list[RunRequest] | SkipReason:
    """Days whose raw lines have changed since their evidence was made: the last three, once an hour all there are."""
    is_hourly = context.scheduled_execution_time.minute == 0
    today = utc_now().date()
    days = None if is_hourly else list(days_between(today - _RECENT, today))
    try:
        behind = streams_behind(store.lake, days)
    except LakehouseError as error:
        return SkipReason(f"the store cannot be read now: {error.detail}")
    for stream in TRANSFORMS if is_hourly else ():
        if unread := unread_keys(store.lake.objects, stream):
            context.log.warning(f"{stream}: {unread_remedy(unread)}")
    if is_hourly and (strange := unknown_streams(store.lake.objects, TRANSFORMS)):
        context.log.warning(unknown_streams_remedy(strange, TRANSFORMS))
    known = {day: streams for day, streams in behind.items() if days_partitions.has_partition_key(day.isoformat())}
    if left := sorted(behind.keys() - known.keys()):
        context.log.warning(f"raw lines of {counted(len(left), 'day')} without a partition are left: {left[0]} and on")
    # A day whose run has failed is asked for again by the next hour.
    again = f"{context.scheduled_execution_time:.%Y-%m-%dT%H}" if is_hourly else ""
    requests = [request(day, streams, again) for day, streams in sorted(known.items(), reverse=True)[:MOST_DAYS]]
    return requests or SkipReason("the evidence of every day is of its raw lines")


@schedule(
    name="evidence_index_behind",
    target=AssetSelection.assets(evidence_index),
    cron_schedule="8-58/10 * * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
)
def evidence_index_behind(store: LakeStore) -> RunRequest | SkipReason:
    """Whether evidence came that is not in the index: whoever made it was killed before it could see to that."""
    try:
        is_behind = store.lake.evidence_index.is_behind()
    except LakehouseError as error:
        return SkipReason(f"the store cannot be read now: {error.detail}")
    return RunRequest() if is_behind else SkipReason("the index names all evidence there is")


@schedule(
    name="scores_behind",
    target=AssetSelection.assets(scored),
    cron_schedule="5-55/10 * * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
)
def scores_behind(context: ScheduleEvaluationContext, store: LakeStore) -> list[RunRequest] | SkipReason:
    """Days whose scores may be others than before: their evidence has changed, or somebody spoke of their runs."""
    try:
        days = store.lake.scored.behind()
        version = store.lake.evidence_index.read().version
    except LakehouseError as error:
        return SkipReason(f"the store cannot be read now: {error.detail}")
    # A day that still waits is scored by what is there when it begins, whatever has come since it was asked for.
    asked = waiting(context.instance, "scores_behind")
    requests = [
        RunRequest(run_key=f"scored.{day}.{version}", partition_key=day.isoformat(), tags=dict(TAGS))
        for day in sorted((day for day in days if day.isoformat() not in asked), reverse=True)[:MOST_DAYS]
    ]
    if asked and not requests:
        return SkipReason(f"the scores of {counted(len(asked), 'day')} are asked for already")
    return requests or SkipReason("the scores of every day are of its evidence")


fold_back_hourly = ScheduleDefinition(
    name="fold_back_hourly",
    job=fold_back_job,
    cron_schedule="20 * * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
)
evidence_schedules: Sequence[ScheduleDefinition] = (
    evidence_behind,
    evidence_index_behind,
    scores_behind,
    fold_back_hourly,
)


def streams_behind(lake: LakeConnection, days: Iterable[date] | None) -> dict[date, dict[str, str]]:
    """By day, the streams whose evidence is not of the raw lines there are, each with the fingerprint it would have."""
    wanted = None if days is None else list(days)
    behind: dict[date, dict[str, str]] = {}
    for stream, transform in TRANSFORMS.items():
        for day, objects in lake.evidence.behind(stream, wanted).items():
            behind.setdefault(day, {})[stream] = fingerprint_of(stream, transform.version, objects)
    return behind


def request(day: date, streams: Mapping[str, str], again: str = "") -> RunRequest:
    """The run for a day; while its raw lines and `again` stay the same, it is asked for once."""
    said = hashlib.sha256("\n".join(f"{name} {mark}" for name, mark in sorted(streams.items())).encode())
    return RunRequest(
        run_key=f"evidence.{day}.{said.hexdigest()[:32]}{again}",
        partition_key=day.isoformat(),
        asset_selection=[evidence_key(stream) for stream in sorted(streams)],
        tags=dict(TAGS),
    )
