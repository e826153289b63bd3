"""The landing sensor: looks into landing/, adds partitions, asks for one run per dataset and tick.

Belongs here: listing, asking what became of runs, requesting.
Not here: the choice (see lakehouse_assets/landing_plan.py).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from dagster import (
    AddDynamicPartitionsRequest,
    AssetMaterialization,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    DeleteDynamicPartitionsRequest,
    RunRequest,
    RunsFilter,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from jobs.ingest import ingest_job
from lakehouse.errors import LakehouseError
from lakehouse.ingest.landing import is_synced
from lakehouse.storage.objects import ObjectStore
from lakehouse_assets.dataset import dataset
from lakehouse_assets.failures import REFUSED_TAG
from lakehouse_assets.landing_plan import (
    LANDING,
    TAKEN_TAG,
    LandingCursor,
    LandingPlan,
    LandingRun,
    Outcome,
    pending_run_keys,
    request,
    scan,
    without_runs,
)
from lakehouse_assets.partitions import datasets_partitions
from lakehouse_assets.resources import LakeConnection, LakeStore
from lakehouse_assets.run_statuses import UNFINISHED

PAGE = 1000
PAGES_PER_TICK = 100
TICK_BUDGET_S = 30.0
"""A tick has 60 s; what a listing does not manage in half of them goes on in the next."""
SETTLE_S = 1.0
SYNC_BUDGET_S = 5.0
RUN_KEY_TAG = "dagster/run_key"
PARTITION_TAGS = ("dagster/partition", "dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


@sensor(name="landing", job=ingest_job, minimum_interval_seconds=1, default_status=DefaultSensorStatus.RUNNING)
def landing_sensor(context: SensorEvaluationContext, store: LakeStore) -> SensorResult | SkipReason:
    """Notice new, changed and vanished files under landing/ and have their datasets brought up to date."""
    now = time.time()
    cursor = LandingCursor.from_json(context.cursor, now=now)
    interval_s = store.lake.settings.landing_interval_s
    if not cursor.after and 0 <= now - cursor.looked_at < interval_s:
        return SkipReason(f"looked less than {interval_s} s ago")
    try:
        plan = look_twice(store.lake.objects, replace(cursor, looked_at=now))
    except LakehouseError as error:
        return SkipReason(f"the store cannot be read now: {error.detail}")
    for what, reason in plan.refused.items():
        context.log.warning(f"landing: {what} is left alone: {reason}")
    if plan.cursor.after:
        return SensorResult(cursor=plan.cursor.to_json(), skip_reason=SkipReason(f"listed up to {plan.cursor.after!r}"))
    asked = asked_runs(context.instance, pending_run_keys(plan.cursor))
    outcomes, taken = outcomes_of(asked), taken_by(asked)
    chosen = request(plan.cursor, outcomes, taken=taken)
    if chosen.runs and (busy := at_work(context.instance)):
        chosen = request(plan.cursor, outcomes, taken=taken, busy=busy)
    synced = _synced(store.lake, [run.dataset for run in chosen.runs])
    gone = _without_dataset(store.lake, synced)
    seen = [run for run in chosen.runs if run.dataset not in gone]
    red = {run.dataset for run in seen if run.follows_failure}
    return _answer(without_runs(chosen, synced - red), context.instance, seen=seen, gone=gone)


def at_work(instance: DagsterInstance) -> set[str]:
    """The datasets that runs are at work on, or will be."""
    runs = instance.get_runs(RunsFilter(statuses=list(UNFINISHED)))
    ours = [run for run in runs if run.job_name == ingest_job.name or dataset.key in (run.asset_selection or ())]
    return {run.tags[tag] for run in ours for tag in PARTITION_TAGS if tag in run.tags}


def _synced(lake: LakeConnection, names: Sequence[str]) -> set[str]:
    """The datasets that somebody has had brought up to date, as `lakehouse up` does with its sample."""
    synced = set()
    give_up = time.monotonic() + SYNC_BUDGET_S
    for name in names:
        if time.monotonic() > give_up:
            break  # a run that finds nothing to do costs more, but not this tick
        with suppress(LakehouseError):  # the run will say what it is
            if is_synced(lake.objects, lake.catalog, name):
                synced.add(name)
    return synced


def _without_dataset(lake: LakeConnection, names: Iterable[str]) -> set[str]:
    """Those that are no datasets: nothing of their folders was ever loaded, so nothing is left of them."""
    gone = set()
    for name in names:
        with suppress(LakehouseError):
            if lake.catalog.find(name) is None:
                gone.add(name)
    return gone


def look_twice(objects: ObjectStore, cursor: LandingCursor) -> LandingPlan:
    """Look; and where something changed and the listing is short, look again after a moment instead of next tick.

    Raises:
        StoreUnavailable: The store does not answer; the cursor stays where it was.
    """
    first = look(objects, cursor)
    is_short = first.cursor.sweep == cursor.sweep + 1 and not cursor.after
    if not is_short or not any(folder.restless for folder in first.cursor.folders.values()):
        return first
    time.sleep(SETTLE_S)
    second = look(objects, first.cursor)
    return LandingPlan(second.cursor, refused={**first.refused, **second.refused})


def look(objects: ObjectStore, cursor: LandingCursor) -> LandingPlan:
    """List a stretch of landing/ and take it into account.

    Raises:
        StoreUnavailable: The store does not answer; the cursor stays where it was.
    """
    give_up = time.monotonic() + TICK_BUDGET_S
    refused: dict[str, str] = {}
    for _ in range(PAGES_PER_TICK):
        page = objects.list(LANDING, limit=PAGE, start_after=cursor.after)
        plan = scan(cursor, page.objects, next_after=page.next)
        cursor = plan.cursor
        refused.update(plan.refused)
        if page.next is None or time.monotonic() > give_up:
            break
    return LandingPlan(cursor, refused=refused)


def asked_runs(instance: DagsterInstance, run_keys: Sequence[str]) -> dict[str, DagsterRun]:
    """The runs with some run keys; a key is absent when there is no such run."""
    found: dict[str, DagsterRun] = {}
    for start in range(0, len(run_keys), 500):
        some = list(run_keys[start : start + 500])
        for run in instance.get_runs(RunsFilter(tags={RUN_KEY_TAG: some})):
            found.setdefault(run.tags[RUN_KEY_TAG], run)  # newest first: of a run and its retry the retry counts
    return found


def outcomes_of(runs: Mapping[str, DagsterRun]) -> dict[str, Outcome]:
    """What became of runs, by their keys."""
    return {key: _outcome(run.status, is_refused=REFUSED_TAG in run.tags) for key, run in runs.items()}


def taken_by(runs: Mapping[str, DagsterRun]) -> dict[str, str]:
    """What runs say that they took in, by their keys."""
    return {key: run.tags[TAKEN_TAG] for key, run in runs.items() if TAKEN_TAG in run.tags}


def _outcome(status: DagsterRunStatus, *, is_refused: bool) -> Outcome:
    if status in UNFINISHED:
        return "active"
    if status == DagsterRunStatus.FAILURE:
        return "refused" if is_refused else "failed"
    return "done"  # a run that an operator cancelled is not started again either


def _answer(
    plan: LandingPlan, instance: DagsterInstance, *, seen: Sequence[LandingRun], gone: Collection[str] = ()
) -> SensorResult:
    known = set(instance.get_dynamic_partitions(str(datasets_partitions.name)))
    missing = [run.dataset for run in seen if run.dataset not in known]
    changes: list[AddDynamicPartitionsRequest | DeleteDynamicPartitionsRequest] = []
    if missing:
        changes.append(datasets_partitions.build_add_request(missing))
    if left := sorted(known & set(gone)):
        changes.append(datasets_partitions.build_delete_request(left))
    return SensorResult(
        run_requests=[_run_request(run) for run in plan.runs],
        dynamic_partitions_requests=changes,
        asset_events=[_seen(run) for run in seen],
        cursor=plan.cursor.to_json(),
        skip_reason=None if plan.runs else SkipReason("nothing new under landing/"),
    )


def _run_request(run: LandingRun) -> RunRequest:
    return RunRequest(run_key=run.run_key, partition_key=run.dataset, tags={"lakehouse/dataset": run.dataset})


def _seen(run: LandingRun) -> AssetMaterialization:
    return AssetMaterialization(
        "landing",
        partition=run.dataset,
        description="seen twice with the same ETags",
        tags={"dagster/data_version": run.fingerprint},
    )
