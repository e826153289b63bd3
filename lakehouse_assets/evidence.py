"""The assets `evidence/<stream>`: raw lines of a day become EvidenceRecords, one asset for each stream, one factory.

Belongs here: the assets, what lies upstream of them, the index that follows. Not here: making evidence (see
lakehouse/adapters/evidence_materializer.py), their checks (see evidence_checks.py), what the UI shows (see
evidence_metadata.py).
"""

# No postponed annotations here: Dagster reads the context class from the signature.

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from dagster import (
    AssetDep,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    MaterializeResult,
    asset,
)

from lakehouse.adapters.evidence_lake import CURRENT
from lakehouse.adapters.evidence_materializer import DayResult, RunFacts
from lakehouse.clock import utc_now
from lakehouse.counted import counted
from lakehouse.errors import LakehouseError
from lakehouse.evidence.days import CODE_VERSION
from lakehouse.evidence.transform import Transform
from lakehouse.evidence.transforms import TRANSFORMS
from lakehouse.receipts.receipt import Receipt, ReceiptCounts, write_receipt
from lakehouse_assets.dataset import OWNERS
from lakehouse_assets.evidence_metadata import day_metadata, day_version, index_metadata
from lakehouse_assets.failures import failure_of, failure_of_several, mapped_errors
from lakehouse_assets.partitions import days_partitions
from lakehouse_assets.partly_done import input_tags, tell_done
from lakehouse_assets.resources import LakeStore
from lakehouse_assets.source_version import source_version
from lakehouse_assets.trajectories import agent_trajectories

GROUP = "evidence"
POOL = "evidence"
_IMPORTED = "agent_trajectories"


def evidence_key(stream: str) -> AssetKey:
    """The asset of a stream's evidence."""
    return AssetKey(["evidence", stream])


raw_streams: Sequence[AssetSpec] = [
    AssetSpec(
        AssetKey(["raw", stream]),
        description=f"Run logs `raw/{stream}/dt=…`, as the API's event log ships them.",
        partitions_def=days_partitions,
        group_name=GROUP,
        kinds={"json", "s3"},
        owners=OWNERS,
        tags={"layer": "raw"},
    )
    for stream in TRANSFORMS
    if stream != _IMPORTED
]


def _upstream(stream: str) -> AssetKey:
    return agent_trajectories.key if stream == _IMPORTED else AssetKey(["raw", stream])


def _code_version(transform: Transform) -> str:
    return f"{CODE_VERSION}.{transform.version}"


def _inputs(context: AssetExecutionContext, stream: str, days: Sequence[str]) -> dict[str, dict[str, str]]:
    """By day, the tags of what its evidence is about to be made of."""
    if stream == _IMPORTED:
        return dict.fromkeys(days, input_tags(context, _upstream(stream), None))
    return {day: input_tags(context, _upstream(stream), day) for day in days}


def _tell_done(
    context: AssetExecutionContext,
    transform: Transform,
    done: Sequence[DayResult],
    inputs: Mapping[str, Mapping[str, str]],
    *,
    bucket: str,
) -> None:
    """Show the days that are made, though those that are not fail the run."""
    for result in done:
        day, version = result.day.isoformat(), day_version(result)
        tell_done(
            context,
            evidence_key(transform.stream),
            day,
            metadata=day_metadata(result, bucket=bucket),
            data_version=None if version is None else version.value,
            code_version=_code_version(transform),
            inputs=inputs[day],
        )


def _asset(transform: Transform) -> AssetsDefinition:
    stream = transform.stream

    @asset(
        key=evidence_key(stream),
        deps=[AssetDep(_upstream(stream))],
        partitions_def=days_partitions,
        backfill_policy=BackfillPolicy.multi_run(31),
        code_version=_code_version(transform),
        description=f"EvidenceRecords of `{stream}`: one for each run, traceable to its raw line.",
        group_name=GROUP,
        kinds={"parquet", "duckdb", "s3"},
        owners=OWNERS,
        tags={"layer": "evidence"},
        pool=POOL,
    )
    def evidence(context: AssetExecutionContext, store: LakeStore) -> MaterializeResult[None]:
        lake = store.lake
        started_at = utc_now()
        days = [date.fromisoformat(day) for day in context.partition_keys]
        with mapped_errors(context.instance, context.run.run_id):
            inputs = _inputs(context, stream, context.partition_keys) if len(days) > 1 else {}
            run = RunFacts(context.run.run_id, source_version())
            done: list[DayResult] = []
            failed: dict[str, LakehouseError] = {}
            # A day that fails alone is left to the next tick: the store has tried for long to read what it has lost.
            for result in lake.evidence.materialize(stream, days, run, stops_at_failure=False):
                if result.error is None:
                    done.append(result)
                else:
                    failed[result.day.isoformat()] = result.error
            if (hits := memo_receipt(stream, done, run, transform, started_at=started_at)) is not None:
                write_receipt(lake.objects, hits)
            # Always: the run before may have been killed between its days and the index.
            lake.evidence_index.refresh()
        if failed and len(days) == 1:
            raise failure_of(*failed.values())
        if failed:
            _tell_done(context, transform, done, inputs, bucket=lake.objects.bucket)
            raise failure_of_several(failed, of=len(days))
        for result in done:
            metadata = day_metadata(result, bucket=lake.objects.bucket)
            context.add_asset_metadata(metadata, partition_key=result.day.isoformat())
        # Of a run over several partitions Dagster keeps one version for all, so ours is set where there is one.
        return MaterializeResult(data_version=day_version(done[0]) if len(done) == 1 else None)

    return evidence


evidence_assets: Sequence[AssetsDefinition] = [_asset(transform) for transform in TRANSFORMS.values()]


@asset(
    name="evidence_index",
    deps=[AssetDep(evidence_key(stream)) for stream in TRANSFORMS],
    code_version="1",
    group_name=GROUP,
    kinds={"parquet", "duckdb", "s3"},
    owners=OWNERS,
    tags={"layer": "evidence"},
    pool=POOL,
)
def evidence_index(context: AssetExecutionContext, store: LakeStore) -> MaterializeResult[None]:
    """Where the line of every run is, which one serves, and which ones it has left behind."""
    with mapped_errors(context.instance, context.run.run_id):
        manifest, _ = store.lake.evidence_index.refresh()
    current = manifest.partitions[CURRENT]
    return MaterializeResult(metadata=index_metadata(manifest, current, bucket=store.lake.objects.bucket))


def memo_receipt(
    stream: str, done: Sequence[DayResult], run: RunFacts, transform: Transform, *, started_at: datetime
) -> Receipt | None:
    """One receipt for all days of a run that were left as they were; None where there was none."""
    hits = [result.day for result in done if not result.is_new]
    if not hits:
        return None
    lost = tuple(
        f"{result.day}: {counted(len(result.lost), 'raw object', 'is')} gone; its evidence stays"
        for result in done
        if result.lost
    )
    return Receipt(
        asset=f"evidence/{stream}",
        partition=f"{min(hits)}_{max(hits)}",
        run_id=run.run_id,
        code_version=f"{transform.version}",
        git_commit=run.git_commit,
        started_at=started_at,
        ended_at=utc_now(),
        inputs=(),
        outputs=(),
        counts=ReceiptCounts(taken=0, new=0),
        errors=lost,
        ok=not lost,
        memo_hits=len(hits),
    )
