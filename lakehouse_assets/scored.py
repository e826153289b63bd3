"""The asset `scored`: the verdict on each run of a day, by written rules.

Belongs here: the asset, its metadata, its check. Not here: which days are behind (see jobs/evidence.py), scoring (see
lakehouse/adapters/scored_days.py).
"""

# No postponed annotations here: Dagster reads the context class from the signature.

from collections import Counter
from datetime import date
from itertools import pairwise
from typing import Any

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetCheckSeverity,
    AssetDep,
    AssetExecutionContext,
    BackfillPolicy,
    DataVersion,
    MaterializeResult,
    MetadataValue,
    asset,
    asset_check,
)

from lakehouse.adapters.evidence_lake import SCORED, SCORED_TABLE, add_relations, open_lake
from lakehouse.adapters.evidence_materializer import RunFacts
from lakehouse.catalog.partitioned import Partition, PartitionedTable
from lakehouse.evidence.transforms import TRANSFORMS
from lakehouse.scoring.rule_file import default_rules
from lakehouse.tables.scored import SCORES
from lakehouse_assets.dataset import OWNERS
from lakehouse_assets.evidence import GROUP, POOL, evidence_key
from lakehouse_assets.failures import mapped_errors
from lakehouse_assets.partitions import days_partitions
from lakehouse_assets.resources import LakeConnection, LakeStore
from lakehouse_assets.source_version import source_version

MOST_MOVED = 0.25
"""Between two days, the share of a verdict may move so far before somebody should look."""
LEAST_RUNS = 50
"""Of fewer runs a share says little."""


@asset(
    name="scored",
    deps=[AssetDep(evidence_key(stream)) for stream in TRANSFORMS],
    partitions_def=days_partitions,
    backfill_policy=BackfillPolicy.multi_run(31),
    code_version=default_rules().version,
    group_name=GROUP,
    kinds={"parquet", "duckdb", "s3"},
    owners=OWNERS,
    tags={"layer": "scored"},
    pool=POOL,
)
def scored(context: AssetExecutionContext, store: LakeStore) -> MaterializeResult[None]:
    """The verdict on each run of a day: accepted, partially accepted, rejected, or for a person to look at."""
    lake = store.lake
    with mapped_errors(context.instance, context.run.run_id):
        lake.evidence_index.refresh()
        run = RunFacts(context.run.run_id, source_version())
        done = lake.scored.score(run, [date.fromisoformat(day) for day in context.partition_keys])
        shares = verdicts(lake, [one.day for one in done])
    for one in done:
        context.add_asset_metadata(
            {
                **_metadata(one.partition, lake.objects.bucket, shares.get(one.day, Counter())),
                "is_changed": one.is_changed,
            },
            partition_key=one.day.isoformat(),
        )
    return MaterializeResult(data_version=DataVersion(done[0].partition.fingerprint) if len(done) == 1 else None)


@asset_check(asset=scored, partitions_def=days_partitions)
def verdicts_are_steady(context: AssetCheckExecutionContext, store: LakeStore) -> AssetCheckResult:
    """The share of each verdict is about that of the last day before that has runs."""
    lake = store.lake
    with mapped_errors(context.instance, context.run.run_id):
        table = PartitionedTable(lake.objects, SCORED_TABLE).read()
        there = sorted(day for day, partition in table.partitions.items() if partition.file(SCORED) is not None)
        pairs = [(before, day) for before, day in pairwise(there) if day in context.partition_keys]
        found = verdicts(lake, [date.fromisoformat(day) for pair in pairs for day in pair])
    moved = [said for before, day in pairs for said in compare(day, found, before)]
    return AssetCheckResult(
        passed=not moved, severity=AssetCheckSeverity.WARN, description="; ".join(moved[:5]) or None
    )


def verdicts(lake: LakeConnection, days: list[date]) -> dict[date, Counter[str]]:
    """How often each verdict was given on some days."""
    found: dict[date, Counter[str]] = {}
    if not days:
        return found
    table = PartitionedTable(lake.objects, SCORED_TABLE).read()
    index = lake.evidence_index.read()
    with open_lake(lake.read_location, lake.work_dir) as engine:
        add_relations(engine, lake.objects.bucket, index, table)
        rows = engine.execute(
            "SELECT dt, score, count(*) FROM scored WHERE list_contains(?, dt) GROUP BY ALL", [sorted(set(days))]
        ).fetchall()
    for day, score, count in rows:
        found.setdefault(day, Counter())[score] += count
    return found


def compare(day: str, found: dict[date, Counter[str]], before: str) -> list[str]:
    """What moved from one day to another by more than `MOST_MOVED`; nothing where a day has few runs."""
    now, then = found.get(date.fromisoformat(day), Counter()), found.get(date.fromisoformat(before), Counter())
    if min(now.total(), then.total()) < LEAST_RUNS:
        return []
    moved = {score: now[score] / now.total() - then[score] / then.total() for score in SCORES}
    return [
        f"{day}: {score} {moved[score]:+.0%} against {before}" for score in SCORES if abs(moved[score]) > MOST_MOVED
    ]


def _metadata(partition: Partition, bucket: str, shares: Counter[str]) -> dict[str, MetadataValue[Any]]:
    file = partition.file(SCORED)
    metadata: dict[str, MetadataValue[Any]] = {
        "dagster/row_count": MetadataValue.int(partition.counts["out"]),
        "receipt": MetadataValue.path(f"s3://{bucket}/{partition.receipt}"),
        **{score: MetadataValue.int(shares[score]) for score in SCORES},
    }
    if file is not None:
        metadata["dagster/uri"] = MetadataValue.path(f"s3://{bucket}/{file.key}")
    return metadata
