"""The sensors on the real store: what they request, report and remember."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.manifest import Column
from lakehouse.catalog.service import Catalog
from lakehouse_assets.dataset import bring_up_to_date, dataset
from lakehouse_assets.definitions import build_defs
from lakehouse_assets.failures import REFUSED_TAG
from lakehouse_assets.landing_plan import LandingCursor
from sensors.catalog import catalog_sensor
from sensors.landing import asked_runs, landing_sensor, look, outcomes_of
from tests.dagster_lake import commit, lake_store, put_parquet
from tests.servers import silent_server

DECLARED = (Column("id", "BIGINT"),)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as made:
        yield made


class Ticks:
    """A sensor evaluated as the daemon would: the returned cursor goes into the next tick, partitions are applied."""

    def __init__(
        self, sensor: dg.SensorDefinition, instance: dg.DagsterInstance, store: dg.ConfigurableResource[object]
    ):
        self._sensor, self._instance, self._store = sensor, instance, store
        self.cursor: str | None = None

    def tick(self) -> dg.SensorResult | dg.SkipReason:
        context = dg.build_sensor_context(
            instance=self._instance, cursor=self.cursor, resources={"store": self._store}, definitions=build_defs()
        )
        result = self._sensor(context)
        if isinstance(result, dg.SensorResult):
            self.cursor = result.cursor
            for request in result.dynamic_partitions_requests or []:
                if isinstance(request, dg.AddDynamicPartitionsRequest):
                    self._instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
                else:
                    for key in request.partition_keys:
                        self._instance.delete_dynamic_partition(request.partitions_def_name, key)
            for event in result.asset_events:
                self._instance.report_runless_asset_event(event)
        assert isinstance(result, dg.SensorResult | dg.SkipReason)
        return result

    def requests(self) -> list[dg.RunRequest]:
        result = self.tick()
        return list(result.run_requests or []) if isinstance(result, dg.SensorResult) else []


def landing_ticks(instance: dg.DagsterInstance, objects: S3ObjectStore, folder: Path) -> Ticks:
    return Ticks(landing_sensor, instance, lake_store(objects, folder, LAKEHOUSE_LANDING_INTERVAL_S="1"))


def rewound(ticks: Ticks) -> Ticks:
    """The interval between looks has passed."""
    ticks.cursor = replace(LandingCursor.from_json(ticks.cursor, now=1), looked_at=0.0).to_json()
    return ticks


def test_dropped_file_becomes_a_partition_and_one_run_request(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    objects.put("landing/workers/a.csv", b"id\n1\n")
    objects.put("landing/workers/b.csv", b"id\n2\n")
    ticks = landing_ticks(instance, objects, tmp_path)
    (request,) = ticks.requests()
    assert request.partition_key == "workers"
    assert instance.get_dynamic_partitions("datasets") == ["workers"]
    assert instance.get_latest_materialization_event(dg.AssetKey("landing")) is not None
    assert ticks.requests() == []  # too early, and nothing new
    restarted = landing_ticks(instance, objects, tmp_path)
    restarted.cursor = ticks.cursor
    with instance_run(instance, str(request.run_key), dg.DagsterRunStatus.SUCCESS):
        assert rewound(restarted).requests() == []
        objects.delete("landing/workers/b.csv")
        assert [r.partition_key for r in rewound(restarted).requests()] == ["workers"]


def test_bad_file_that_is_taken_away_takes_its_partition_along_and_needs_no_run(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    objects.put("landing/workers/a.csv", b"")
    ticks = landing_ticks(instance, objects, tmp_path)
    (request,) = ticks.requests()
    with instance_run(instance, str(request.run_key), dg.DagsterRunStatus.FAILURE):
        objects.delete("landing/workers/a.csv")
        assert rewound(ticks).requests() == []
        assert instance.get_dynamic_partitions("datasets") == []
        objects.put("landing/workers/a.csv", b"id\n1\n")
        assert [r.partition_key for r in rewound(ticks).requests()] == ["workers"]
    assert instance.get_dynamic_partitions("datasets") == ["workers"]


def test_bad_file_that_is_taken_away_from_good_ones_gets_a_run_that_shows_all_is_well(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    objects.put("landing/workers/a.csv", b"id\n1\n")
    ticks = landing_ticks(instance, objects, tmp_path)
    bring_up_to_date(lake_store(objects, tmp_path).lake, "workers", evolve=False)
    assert ticks.requests() == []  # it holds already what lies there
    objects.put("landing/workers/b.csv", b"")
    (request,) = rewound(ticks).requests()
    with instance_run(instance, str(request.run_key), dg.DagsterRunStatus.FAILURE, **{REFUSED_TAG: "422"}):
        assert rewound(ticks).requests() == []
        objects.delete("landing/workers/b.csv")
        assert [r.partition_key for r in rewound(ticks).requests()] == ["workers"]


def test_folder_that_was_read_in_another_state_and_put_back_is_read_again(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    objects.put("landing/workers/a.csv", b"id\n1\n")
    ticks = landing_ticks(instance, objects, tmp_path)
    (request,) = ticks.requests()
    objects.put("landing/workers/b.csv", b"id\n2\n")
    result = dg.materialize(
        [dataset],
        instance=instance,
        partition_key="workers",
        resources={"store": lake_store(objects, tmp_path)},
        tags={"dagster/run_key": str(request.run_key)},
    )
    assert result.success
    objects.delete("landing/workers/b.csv")
    asked = [request.partition_key for _ in range(4) for request in rewound(ticks).requests()]
    assert asked == ["workers"]


def test_folder_that_somebody_else_takes_in_is_waited_for_and_needs_no_run_then(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    objects.put("landing/workers/a.csv", b"id\n1\n")
    ticks = landing_ticks(instance, objects, tmp_path)
    lake = lake_store(objects, tmp_path).lake
    tags = {"dagster/asset_partition_range_start": "workers", "dagster/asset_partition_range_end": "client_blocks"}
    run = instance.add_run(dg.DagsterRun("ingest", status=dg.DagsterRunStatus.STARTED, tags=tags))
    assert ticks.requests() == []
    assert rewound(ticks).requests() == []
    bring_up_to_date(lake, "workers", evolve=False)
    instance.delete_run(run.run_id)
    assert rewound(ticks).requests() == []
    assert instance.get_dynamic_partitions("datasets") == ["workers"]
    objects.put("landing/workers/b.csv", b"id\n2\n")
    assert [r.partition_key for r in rewound(ticks).requests()] == ["workers"]


def test_a_thousand_new_files_are_taken_in_one_tick(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    names = [f"landing/set{i % 20}/{i:04}.csv" for i in range(1100)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: objects.put(name, b"id\n1\n"), names))
    ticks = landing_ticks(instance, objects, tmp_path)
    requests = ticks.requests()
    assert sorted(str(r.partition_key) for r in requests) == sorted(f"set{i}" for i in range(20))
    assert len(ticks.cursor or "") < 5000


def test_folder_that_can_be_no_dataset_does_not_stop_the_others(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    for key in ("landing/Bad-Name/a.csv", "landing/loose.csv", "landing/evidence/a.csv", "landing/good/a.csv"):
        objects.put(key, b"id\n1\n")
    assert [r.partition_key for r in landing_ticks(instance, objects, tmp_path).requests()] == ["good"]
    refused = look(objects, LandingCursor(born=1)).refused
    assert set(refused) == {"landing/Bad-Name/", "landing/loose.csv", "landing/evidence/"}


def test_store_that_is_away_leaves_the_cursor_alone(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    with silent_server() as port:
        away = lake_store(
            objects,
            tmp_path,
            LAKEHOUSE_S3_READ_TIMEOUT_S="0.2",
            LAKEHOUSE_S3_MAX_ATTEMPTS="1",
            LAKEHOUSE_S3_ENDPOINT=f"http://127.0.0.1:{port}",
        )
        for sensor in (landing_sensor, catalog_sensor):
            ticks = Ticks(sensor, instance, away)
            assert isinstance(ticks.tick(), dg.SkipReason)
            assert ticks.cursor is None


@pytest.mark.parametrize(
    ("status", "tags", "outcome"),
    [
        (dg.DagsterRunStatus.STARTED, {}, "active"),
        (dg.DagsterRunStatus.STARTING, {}, "active"),
        (dg.DagsterRunStatus.SUCCESS, {}, "done"),
        (dg.DagsterRunStatus.CANCELED, {}, "done"),
        (dg.DagsterRunStatus.FAILURE, {}, "failed"),
        (dg.DagsterRunStatus.FAILURE, {REFUSED_TAG: "422"}, "refused"),
    ],
)
def test_run_of_a_status_has_the_outcome_that_decides_on_another_try(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, tags: dict[str, str], outcome: str
) -> None:
    with instance_run(instance, "key", status, **tags):
        assert outcomes_of(asked_runs(instance, ["key", "other"])) == {"key": outcome}


def test_dataset_from_elsewhere_is_reported_without_a_run(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    manifest = commit(objects, "people", DECLARED, put_parquet(objects, "people", {"id": "BIGINT"}, [(1,), (2,)]))
    commit(objects, "own", DECLARED, put_parquet(objects, "own", {"id": "BIGINT"}, [(1,)]), by="dagster")
    ticks = Ticks(catalog_sensor, instance, lake_store(objects, tmp_path))
    result = ticks.tick()
    assert isinstance(result, dg.SensorResult)
    assert [e.partition for e in result.asset_events] == ["people"]
    assert result.asset_events[0].metadata["dagster/row_count"].value == manifest.row_count == 2
    assert sorted(instance.get_dynamic_partitions("datasets")) == ["own", "people"]
    assert isinstance(ticks.tick(), dg.SkipReason)
    Catalog(objects).delete("people")
    ticks.tick()
    assert instance.get_dynamic_partitions("datasets") == ["own"]


def test_broken_manifest_does_not_stop_the_others(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    commit(objects, "people", DECLARED, put_parquet(objects, "people", {"id": "BIGINT"}, [(1,)]))
    objects.put("catalog/manifests/broken.json", b"{")
    ticks = Ticks(catalog_sensor, instance, lake_store(objects, tmp_path))
    ticks.tick()
    assert instance.get_dynamic_partitions("datasets") == ["people"]


@contextmanager
def instance_run(
    instance: dg.DagsterInstance, run_key: str, status: dg.DagsterRunStatus, **tags: str
) -> Iterator[None]:
    @dg.op
    def nothing() -> None: ...

    @dg.job
    def some_job() -> None:
        nothing()

    run = instance.create_run_for_job(some_job, status=status, tags={"dagster/run_key": run_key, **tags})
    yield
    instance.delete_run(run.run_id)
