"""The asset `dataset`: one partition per dataset, brought up to date from its landing folder.

Belongs here: the asset and what lies upstream of it. Not here: its checks (see dataset_checks.py), the conversion (see
lakehouse/ingest).
"""

# No postponed annotations here: Dagster reads the config class from the signature.

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetSpec,
    BackfillPolicy,
    Config,
    DataVersion,
    MaterializeResult,
    asset,
)
from pydantic import Field

from lakehouse.adapters.parquet_inspection import first_rows
from lakehouse.catalog.manifest import Manifest
from lakehouse.clock import utc_now
from lakehouse.errors import LakehouseError, NotFound
from lakehouse.ingest.landing import Taken
from lakehouse.receipts.receipt import Receipt, ReceiptCounts, ReceiptItem, write_receipt
from lakehouse.storage.objects import ObjectInfo
from lakehouse_assets.audit import record_ingest
from lakehouse_assets.dataset_metadata import SAMPLE_ROWS, data_version, dataset_metadata
from lakehouse_assets.failures import failure_of_several, is_retried, mapped_errors
from lakehouse_assets.landing_plan import LANDING, TAKEN_TAG, folder_fingerprint
from lakehouse_assets.partitions import datasets_partitions
from lakehouse_assets.partly_done import input_tags, tell_done
from lakehouse_assets.resources import LakeConnection, LakeStore
from lakehouse_assets.source_version import source_version

CODE_VERSION = "1"
ACTOR = "dagster"
OWNERS = ["team:lakehouse"]

landing = AssetSpec(
    "landing",
    description="Files that users drop under `landing/<dataset>/`: CSV, TSV, JSON lines or Parquet.",
    partitions_def=datasets_partitions,
    group_name="lake",
    kinds={"s3", "csv"},
    owners=OWNERS,
    tags={"layer": "landing"},
)


class DatasetConfig(Config):
    """What an operator may decide for one run."""

    evolve: bool = Field(False, description="Accept columns that differ from the registered ones as a new schema.")


@dataclass(frozen=True, slots=True)
class BroughtUpToDate:
    """One dataset after a run: its manifest, whether the run changed it, rows that were refused."""

    manifest: Manifest
    is_changed: bool
    quarantined: int = 0


@asset(
    name="dataset",
    partitions_def=datasets_partitions,
    deps=[landing],
    code_version=CODE_VERSION,
    backfill_policy=BackfillPolicy.multi_run(31),
    group_name="lake",
    kinds={"parquet", "s3", "duckdb"},
    owners=OWNERS,
    tags={"layer": "dataset"},
    pool="ingest",
)
def dataset(context: AssetExecutionContext, config: DatasetConfig, store: LakeStore) -> MaterializeResult[None]:
    """A catalogued dataset: Parquet files in the bucket and the manifest that names them.

    Of a run over several partitions, those that fail for a reason of their own fail it at its end, and the others are
    done.
    """
    lake = store.lake
    names = context.partition_keys
    done: dict[str, tuple[DataVersion, dict[str, Any]]] = {}
    seen: dict[str, dict[str, str]] = {}
    failed: dict[str, LakehouseError] = {}
    for name in names:
        with mapped_errors(context.instance, context.run.run_id):
            try:
                if len(names) > 1:
                    seen[name] = input_tags(context, landing.key, name)
                taken = _tagging(context) if len(names) == 1 else None
                result = _bring_up_to_date(lake, name, evolve=config.evolve, run_id=context.run.run_id, taken=taken)
                sample = _sample(lake, result.manifest)
            except LakehouseError as error:
                if len(names) == 1 or is_retried(error):
                    raise
                failed[name] = error
                continue
        metadata = dataset_metadata(result.manifest, bucket=lake.objects.bucket, sample=sample)
        done[name] = (data_version(result.manifest), {**metadata, "quarantined": result.quarantined})
    if failed:
        for name, (version, metadata) in done.items():
            tell_done(
                context,
                AssetKey("dataset"),
                name,
                metadata=metadata,
                data_version=version.value,
                code_version=CODE_VERSION,
                inputs=seen[name],
            )
        raise failure_of_several(failed, of=len(names))
    for name, (_, metadata) in done.items():
        context.add_asset_metadata(metadata, partition_key=name)
    # Of a run over several partitions Dagster keeps one version for all, so ours is set where there is one.
    return MaterializeResult(data_version=done[names[0]][0] if len(names) == 1 else None)


def _tagging(context: AssetExecutionContext) -> Taken:
    """Writes what a run took in on the run, for the landing sensor: files may have changed since it was asked for."""

    def tag(files: Sequence[ObjectInfo]) -> None:
        context.instance.add_run_tags(context.run.run_id, {TAKEN_TAG: folder_fingerprint(files)})

    return tag


def _bring_up_to_date(
    lake: LakeConnection, name: str, *, evolve: bool, run_id: str, taken: Taken | None
) -> BroughtUpToDate:
    """The same with its receipt and its line in the audit log."""
    started_at = utc_now()
    result = bring_up_to_date(lake, name, evolve=evolve, taken=taken)
    write_receipt(lake.objects, receipt_of(result, run_id=run_id, started_at=started_at))
    if result.is_changed:
        elapsed_ms = (utc_now() - started_at).total_seconds() * 1000
        record_ingest(lake, result.manifest, actor=ACTOR, run_id=run_id, elapsed_ms=elapsed_ms)
    return result


def bring_up_to_date(lake: LakeConnection, name: str, *, evolve: bool, taken: Taken | None = None) -> BroughtUpToDate:
    """Take in what lies in the landing folder; a dataset that never came from there stays as it is.

    Raises:
        NotFound: Neither a dataset nor a file of that name.
        LakehouseError: As the ingester says.
    """
    manifest = lake.catalog.find(name)
    has_files = bool(lake.objects.list(f"{LANDING}{name}/", limit=1).objects)
    came_from_landing = manifest is not None and any(o.source_key for o in manifest.objects)
    if has_files or came_from_landing:
        result = lake.ingester.sync_landing(name, actor=ACTOR, evolve=evolve, taken=taken)
        return BroughtUpToDate(result.manifest, not result.existing, result.quarantined)
    if taken is not None:
        taken([])
    if manifest is None:
        raise NotFound(f"no dataset {name!r} and no file under {LANDING}{name}/; drop one there", name=name)
    return BroughtUpToDate(manifest, is_changed=False)


def receipt_of(result: BroughtUpToDate, *, run_id: str, started_at: datetime) -> Receipt:
    """The receipt of one partition: its sources in, its data files out."""
    manifest = result.manifest
    sources = (o for o in manifest.objects if o.source_key)
    new, same = (manifest.row_count, 0) if result.is_changed else (0, manifest.row_count)
    return Receipt(
        asset="dataset",
        partition=manifest.name,
        run_id=run_id,
        code_version=CODE_VERSION,
        git_commit=source_version(),
        started_at=started_at,
        ended_at=utc_now(),
        inputs=tuple(ReceiptItem(str(o.source_key), o.source_sha256, o.row_count) for o in sources),
        outputs=tuple(ReceiptItem(o.key, o.sha256, o.row_count) for o in manifest.objects),
        counts=ReceiptCounts(
            taken=manifest.row_count + result.quarantined,
            new=new,
            duplicate=same,
            quarantined=result.quarantined,
            out=manifest.row_count,
        ),
    )


def _sample(lake: LakeConnection, manifest: Manifest) -> list[tuple[object, ...]]:
    if not manifest.objects:
        return []
    names = [column.name for column in manifest.columns]
    return first_rows(lake.read_location, manifest.objects[0].key, names, limit=SAMPLE_ROWS)
