"""The catalog sensor: shows in Dagster what HTTP and the command line ingested, without a run.

Belongs here: noticing changed pointers, reporting them.
Not here: ingesting (see lakehouse/ingest), landing (see landing.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import orjson
from dagster import (
    AssetMaterialization,
    DagsterInstance,
    DefaultSensorStatus,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from lakehouse.catalog.history import POINTERS
from lakehouse.catalog.manifest import BrokenManifest, Manifest
from lakehouse.counted import counted
from lakehouse.errors import LakehouseError, NotFound
from lakehouse.storage.objects import list_all
from lakehouse_assets.dataset import ACTOR
from lakehouse_assets.dataset_metadata import data_version, dataset_metadata
from lakehouse_assets.partitions import datasets_partitions
from lakehouse_assets.resources import LakeConnection, LakeStore

MAX_PER_TICK = 200


@sensor(name="catalog", minimum_interval_seconds=5, default_status=DefaultSensorStatus.RUNNING)
def catalog_sensor(context: SensorEvaluationContext, store: LakeStore) -> SensorResult | SkipReason:
    """Report versions that were made outside of Dagster, add their partitions, drop those of deleted datasets."""
    seen = _read_cursor(context.cursor)
    try:
        pointers = {i.key: i.etag[:16] for i in list_all(store.lake.objects, POINTERS) if i.key.endswith(".json")}
        changed = [key for key, etag in pointers.items() if seen.get(key) != etag][:MAX_PER_TICK]
        manifests = {key: _read(store.lake, key) for key in changed}
    except LakehouseError as error:
        return SkipReason(f"the store cannot be read now: {error.detail}")
    if not changed and set(seen) <= set(pointers):
        return SkipReason("the catalog has not changed")
    for key in (k for k, m in manifests.items() if m is None):
        context.log.warning(f"catalog: {key} is not a manifest; restore it from catalog/versions/")
    cursor = {k: e for k, e in seen.items() if k in pointers} | {k: pointers[k] for k in changed}
    live = [m for m in manifests.values() if m is not None]
    return _report(live, store.lake.objects.bucket, context.instance, orjson.dumps(cursor).decode())


def _report(manifests: list[Manifest], bucket: str, instance: DagsterInstance, cursor: str) -> SensorResult:
    known = set(instance.get_dynamic_partitions(str(datasets_partitions.name)))
    added = [m.name for m in manifests if m.deleted_at is None and m.name not in known]
    gone = [m.name for m in manifests if m.deleted_at is not None and m.name in known]
    events = [_event(m, bucket) for m in manifests if m.deleted_at is None and m.committed_by != ACTOR]
    return SensorResult(
        dynamic_partitions_requests=[
            *([datasets_partitions.build_add_request(added)] if added else []),
            *([datasets_partitions.build_delete_request(gone)] if gone else []),
        ],
        asset_events=events,
        cursor=cursor,
        skip_reason=SkipReason(
            f"noticed {counted(len(manifests), 'change')} of the catalog at {time.strftime('%H:%M:%S')}"
        ),
    )


def _event(manifest: Manifest, bucket: str) -> AssetMaterialization:
    return AssetMaterialization(
        "dataset",
        partition=manifest.name,
        description=f"version {manifest.version}, made by {manifest.committed_by or 'another program'}",
        metadata=dataset_metadata(manifest, bucket=bucket),
        tags={"dagster/data_version": data_version(manifest).value},
    )


def _read(lake: LakeConnection, key: str) -> Manifest | None:
    try:
        return Manifest.from_json(lake.objects.get(key).body, key=key)
    except (BrokenManifest, NotFound):
        return None


def _read_cursor(text: str | None) -> Mapping[str, str]:
    try:
        seen = orjson.loads(text or "{}")
    except ValueError:
        return {}
    return seen if isinstance(seen, dict) else {}
