"""The housekeeping jobs on the real store, launched as their schedules would."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import orjson
import pyarrow.parquet as pq
import pytest

from jobs.housekeeping import housekeeping_schedules
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.manifest import Column
from lakehouse_assets.definitions import build_defs
from tests.dagster_lake import commit, lake_store, put_parquet

ORPHAN = "datasets/people/fp/orphan.parquet"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as made:
        yield made


def run_gc(
    instance: dg.DagsterInstance, objects: S3ObjectStore, folder: Path, *, config: dict[str, object]
) -> dg.AssetMaterialization:
    defs = build_defs(lake_store(objects, folder, LAKEHOUSE_GC_MIN_AGE_HOURS="0"))
    result = defs.resolve_job_def("gc").execute_in_process(instance=instance, run_config=config)
    (event,) = result.get_asset_materialization_events()
    return event.step_materialization_data.materialization


def test_gc_without_configuration_reports_and_removes_nothing(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    objects.put(ORPHAN, b"x" * 10)
    shown = run_gc(instance, objects, tmp_path, config={}).metadata
    assert shown["dry_run"].value is True
    assert shown["collected"].value == 1
    assert shown["bytes_collected"].value == 10
    assert ORPHAN in str(shown["first"].value)
    assert objects.head(ORPHAN) is not None


def test_gc_as_scheduled_removes_orphans_and_keeps_what_serves(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    kept = put_parquet(objects, "people", {"id": "BIGINT"}, [(1,)])
    commit(objects, "people", (Column("id", "BIGINT"),), kept)
    objects.put(ORPHAN, b"x" * 10)
    (schedule,) = (s for s in housekeeping_schedules if s.name == "gc_daily")
    tick = schedule.evaluate_tick(
        dg.build_schedule_context(instance=instance, scheduled_execution_time=datetime(2026, 1, 1, tzinfo=UTC))
    )
    (request,) = tick.run_requests or []
    assert run_gc(instance, objects, tmp_path, config=dict(request.run_config)).metadata["collected"].value == 1
    assert objects.head(ORPHAN) is None
    assert objects.head(kept.key) is not None


def test_retention_keeps_young_receipts(instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path) -> None:
    objects.put("receipts/dataset/people/r1.json", b"{}")
    defs = build_defs(lake_store(objects, tmp_path))
    result = defs.resolve_job_def("apply_retention").execute_in_process(instance=instance)
    (event,) = result.get_asset_materialization_events()
    shown = event.step_materialization_data.materialization.metadata
    assert (shown["expired"].value, shown["kept"].value, shown["dry_run"].value) == (0, 1, True)


def test_purged_runs_leave_their_lineage_in_the_bucket(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    commit(objects, "people", (Column("id", "BIGINT"),), put_parquet(objects, "people", {"id": "BIGINT"}, [(1,)]))
    instance.add_dynamic_partitions("datasets", ["people"])
    defs = build_defs(lake_store(objects, tmp_path))
    old, live = (
        defs.resolve_job_def("ingest").execute_in_process(instance=instance, partition_key="people").run_id
        for _ in range(2)
    )
    purge = defs.resolve_job_def("purge_runs")
    for dry_run in (True, False):
        config = {"ops": {"run_history": {"config": {"keep_days": 1e-9, "dry_run": dry_run}}}}
        result = purge.execute_in_process(instance=instance, run_config=config)
        (event,) = result.get_asset_materialization_events()
        shown = event.step_materialization_data.materialization.metadata
        assert (instance.get_run_by_id(old) is None) is not dry_run
    # The dry run's own record went along: the purge that followed is the latest of its asset now.
    assert shown["purged"].value >= 1
    body = objects.get(str(shown["lineage"].value)).body
    (row,) = [r for r in pq.read_table(io.BytesIO(body)).to_pylist() if r["asset"] == "dataset"]
    assert (row["partition"], row["run_id"]) == ("people", old)
    assert orjson.loads(row["metadata"])["dagster/row_count"] == 1
    assert len(row["data_version"]) == 64
    assert instance.get_run_by_id(live) is not None


def test_every_report_of_housekeeping_is_expected_to_be_fresh() -> None:
    graph = build_defs().resolve_asset_graph()
    for name in ("garbage", "retention", "run_history"):
        assert graph.get(dg.AssetKey(name)).freshness_policy is not None
