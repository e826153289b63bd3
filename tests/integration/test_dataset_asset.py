"""The asset `dataset`, its checks and its receipts, materialized on the real store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import dagster as dg
import orjson
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.manifest import Column, Manifest
from lakehouse.catalog.service import Catalog
from lakehouse.errors import InsufficientStorage
from lakehouse.storage.objects import list_all
from lakehouse_assets.dataset import BroughtUpToDate, bring_up_to_date, dataset
from lakehouse_assets.dataset_checks import dataset_checks, judge_shrink
from lakehouse_assets.dataset_metadata import data_version
from lakehouse_assets.failures import REFUSED_TAG
from lakehouse_assets.resources import LakeConnection
from tests.dagster_lake import commit, lake_store, put_parquet
from tests.servers import silent_server

COLUMNS = {"id": "BIGINT", "email": "VARCHAR"}
DECLARED = (Column("id", "BIGINT"), Column("email", "VARCHAR", pii=True))
ROWS: list[tuple[object, ...]] = [(1, "ann@example.org"), (2, "bob|<b>@example.org"), (3, None)]


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as made:
        yield made


def materialize(
    instance: dg.DagsterInstance,
    objects: S3ObjectStore,
    folder: Path,
    name: str,
    *,
    config: Mapping[str, object] | None = None,
    **changes: str,
) -> dg.ExecuteInProcessResult:
    instance.add_dynamic_partitions("datasets", [name])
    return dg.materialize(
        [dataset, *dataset_checks],
        partition_key=name,
        instance=instance,
        resources={"store": lake_store(objects, folder, **changes)},
        run_config={"ops": {"dataset": {"config": config or {}}}},
        raise_on_error=False,
    )


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, tuple[bool, dg.AssetCheckSeverity]]:
    return {e.check_name: (e.passed, e.severity) for e in result.get_asset_check_evaluations()}


def latest(instance: dg.DagsterInstance) -> dg.AssetMaterialization:
    event = instance.get_latest_materialization_event(dg.AssetKey("dataset"))
    assert event is not None
    assert event.asset_materialization is not None
    return event.asset_materialization


def test_uploaded_dataset_is_shown_and_left_as_it_is(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    manifest = commit(objects, "people", DECLARED, put_parquet(objects, "people", COLUMNS, ROWS))
    result = materialize(instance, objects, tmp_path, "people")
    assert result.success
    assert Catalog(objects).get("people") == manifest
    shown = latest(instance)
    assert shown.partition == "people"
    assert shown.metadata["dagster/row_count"].value == 3
    assert shown.metadata["bytes"].value == manifest.size_bytes
    assert str(shown.metadata["dagster/uri"].value).endswith(f"/datasets/people/{manifest.schema_fingerprint}/")
    assert [(c.name, c.type) for c in shown.metadata["dagster/column_schema"].value.columns] == list(COLUMNS.items())
    assert (shown.tags or {})["dagster/data_version"] == data_version(manifest).value
    assert all(passed for passed, _ in checks_of(result).values())
    assert len(checks_of(result)) == 3


def test_sample_masks_personal_data(instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path) -> None:
    commit(objects, "people", DECLARED, put_parquet(objects, "people", COLUMNS, ROWS))
    materialize(instance, objects, tmp_path, "people")
    sample = str(latest(instance).metadata["sample"].value)
    assert sample.splitlines() == ["| id | email |", "| --- | --- |", "| 1 | ••• |", "| 2 | ••• |", "| 3 |  |"]


def test_receipt_tells_of_each_materialization(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    commit(objects, "people", DECLARED, put_parquet(objects, "people", COLUMNS, ROWS))
    result = materialize(instance, objects, tmp_path, "people")
    receipt = orjson.loads(objects.get(f"receipts/dataset/people/{result.run_id}.json").body)
    assert receipt["counts"] == {"in": 3, "new": 0, "corrected": 0, "duplicate": 3, "quarantined": 0, "out": 3}
    assert receipt["ok"] is True
    assert [o["rows"] for o in receipt["outputs"]] == [3]


def test_manifest_that_miscounts_fails_the_row_count_check(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    data_object = replace(put_parquet(objects, "people", COLUMNS, ROWS), row_count=4)
    commit(objects, "people", DECLARED, data_object)
    checks = checks_of(materialize(instance, objects, tmp_path, "people"))
    assert checks["row_count_matches_manifest"] == (False, dg.AssetCheckSeverity.ERROR)
    assert checks["types_as_declared"][0]


def test_file_with_other_types_fails_the_type_check(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    data_object = put_parquet(objects, "people", {"id": "DOUBLE", "email": "VARCHAR"}, ROWS)
    commit(objects, "people", DECLARED, data_object)
    checks = checks_of(materialize(instance, objects, tmp_path, "people"))
    assert checks["types_as_declared"] == (False, dg.AssetCheckSeverity.ERROR)


def test_rows_lost_while_their_source_stays_fail_the_shrink_check(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    whole = put_parquet(objects, "people", COLUMNS, ROWS)
    commit(objects, "people", DECLARED, whole)
    less = put_parquet(objects, "people", COLUMNS, ROWS[:2])
    commit(objects, "people", DECLARED, replace(less, source_sha256=whole.source_sha256))
    checks = checks_of(materialize(instance, objects, tmp_path, "people"))
    assert checks["no_silent_shrink"] == (False, dg.AssetCheckSeverity.ERROR)


def test_half_the_rows_gone_with_a_new_source_is_a_warning(objects: S3ObjectStore) -> None:
    many = [(i, "x") for i in range(10)]
    versions: list[Manifest] = [
        commit(objects, "people", DECLARED, put_parquet(objects, "people", COLUMNS, rows))
        for rows in (many, many[1:], many[:3])
    ]
    assert judge_shrink(versions[0], versions[1]).problem == ""
    found = judge_shrink(versions[1], versions[2])
    assert found.problem
    assert not found.is_severe


def test_name_without_dataset_or_files_fails_without_retry(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    result = materialize(instance, objects, tmp_path, "nobody")
    assert not result.success
    failure = result.failure_data_for_node("dataset")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.metadata["status"].value == 404
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags[REFUSED_TAG] == "404"
    assert list(list_all(objects, "receipts/")) == []


def test_of_a_run_over_many_datasets_those_that_are_refused_fail_and_the_others_are_done(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    names = ["a", "b", "c", "d"]
    instance.add_dynamic_partitions("datasets", names)
    for name in names:
        ragged = "3,4,5\n" if name in "bc" else ""
        objects.put(f"landing/{name}/rows.csv", f"id,n\n1,2\n{ragged}".encode())
        told = {"dagster/data_version": f"seen-{name}"}
        instance.report_runless_asset_event(dg.AssetMaterialization("landing", partition=name, tags=told))
    run = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "d"}
    result = dg.materialize(
        [dataset, *dataset_checks],
        instance=instance,
        resources={"store": lake_store(objects, tmp_path)},
        tags=run,
        raise_on_error=False,
    )
    assert not result.success
    failure = result.failure_data_for_node("dataset")
    assert failure is not None
    assert failure.user_failure_data is not None
    lines = str(failure.user_failure_data.description).splitlines()
    assert lines[0] == "2 of 4 partitions failed, the others are up to date:"
    assert [line.partition(":")[0] for line in lines[1:]] == ["b", "c"]
    of_b = failure.user_failure_data.metadata["b"]
    assert isinstance(of_b, dg.JsonMetadataValue)
    assert isinstance(of_b.value, dict)
    assert of_b.value["status"] == 422
    assert "landing/b/rows.csv: the file: record 2, line 3: 3 fields" in of_b.value["detail"]
    assert {name: Catalog(objects).find(name) is not None for name in names} == dict(
        zip(names, (True, False, False, True), strict=True)
    )
    assert instance.get_materialized_partitions(dg.AssetKey("dataset")) == {"a", "d"}
    shown = latest(instance)
    assert (shown.partition, shown.metadata["dagster/row_count"].value) == ("d", 1)
    assert shown.tags is not None
    assert shown.tags["dagster/data_version"] == data_version(Catalog(objects).get("d")).value
    assert shown.tags["dagster/input_data_version/landing"] == "seen-d"  # else the partition passes for stale
    assert shown.tags["dagster/input_event_pointer/landing"].isdecimal()
    assert len(list(list_all(objects, "receipts/dataset/"))) == 2


def test_dataset_that_needs_too_much_fails_alone_and_none_is_told_to_be_done_where_all_fail(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bring(lake: LakeConnection, name: str, *, evolve: bool, taken: None) -> BroughtUpToDate:
        if name != "c":
            raise InsufficientStorage("too wide; split it")
        return bring_up_to_date(lake, name, evolve=evolve, taken=taken)

    monkeypatch.setattr("lakehouse_assets.dataset.bring_up_to_date", bring)
    instance.add_dynamic_partitions("datasets", ["a", "b", "c"])
    objects.put("landing/c/rows.csv", b"id,n\n1,2\n")
    for end, says in (
        ("c", "2 of 3 partitions failed, the others are up to date:"),
        ("b", "2 of 2 partitions failed:"),
    ):
        result = dg.materialize(
            [dataset],
            instance=instance,
            resources={"store": lake_store(objects, tmp_path)},
            tags={"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": end},
            raise_on_error=False,
        )
        failure = result.failure_data_for_node("dataset")
        assert failure is not None
        assert failure.user_failure_data is not None
        assert str(failure.user_failure_data.description).splitlines()[0] == says
    assert instance.get_materialized_partitions(dg.AssetKey("dataset")) == {"c"}


def test_full_disk_takes_nothing_from_landing(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    objects.put("landing/jobs/a.csv", b"code,n\n0527A,1\n")
    full = {"LAKEHOUSE_DISK_DEGRADED_PERCENT": "0.000001", "LAKEHOUSE_DISK_REFUSE_PERCENT": "0.000001"}
    result = materialize(instance, objects, tmp_path, "jobs", **full)
    assert not result.success
    failure = result.failure_data_for_node("dataset")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.metadata["status"].value == 507
    assert "full and writes are refused" in str(failure.user_failure_data.description)
    assert Catalog(objects).find("jobs") is None
    assert list((tmp_path / "tmp" / "dagster").iterdir()) == []
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert REFUSED_TAG not in run.tags  # the same file is tried again when there is space
    assert materialize(instance, objects, tmp_path, "jobs").success


def test_store_that_never_answers_is_retried_then_fails(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    with silent_server() as port:
        changes = {
            "LAKEHOUSE_S3_ENDPOINT": f"http://127.0.0.1:{port}",
            "LAKEHOUSE_S3_READ_TIMEOUT_S": "0.2",
            "LAKEHOUSE_S3_MAX_ATTEMPTS": "1",
        }
        result = materialize(instance, objects, tmp_path, "people", **changes)
    assert not result.success
    assert [e.event_type for e in result.all_events].count(dg.DagsterEventType.STEP_UP_FOR_RETRY) == 2
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert REFUSED_TAG not in run.tags


def test_landing_folder_becomes_the_dataset_and_follows_its_files(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    objects.put("landing/jobs/a.csv", b"code,n\n0527A,1\n0528B,2\n")
    objects.put("landing/jobs/b.csv", b"code,n\n0529C,3\n")
    first = materialize(instance, objects, tmp_path, "jobs")
    assert first.success
    assert Catalog(objects).get("jobs").row_count == 3
    again = materialize(instance, objects, tmp_path, "jobs")
    assert Catalog(objects).get("jobs").version == 1
    counts = [
        orjson.loads(objects.get(f"receipts/dataset/jobs/{r.run_id}.json").body)["counts"] for r in (first, again)
    ]
    assert [(c["new"], c["duplicate"]) for c in counts] == [(3, 0), (0, 3)]
    lines = [
        orjson.loads(line) for i in list_all(objects, "raw/audits/") for line in objects.get(i.key).body.splitlines()
    ]
    assert [(n["run_id"], n["action"], n["subject"], n["rows"]) for n in lines] == [(first.run_id, "ingest", "jobs", 3)]
    objects.delete("landing/jobs/a.csv")
    assert all(
        passed
        for name, (passed, _) in checks_of(materialize(instance, objects, tmp_path, "jobs")).items()
        if name != "no_silent_shrink"
    )
    assert Catalog(objects).get("jobs").row_count == 1


def test_bad_file_fails_the_run_with_its_reason_and_loads_the_others(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    objects.put("landing/jobs/a.csv", b"code,n\n0527A,1\n")
    objects.put("landing/jobs/b.csv", b'code,n\n"0528B,2\n')
    result = materialize(instance, objects, tmp_path, "jobs")
    assert not result.success
    failure = result.failure_data_for_node("dataset")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.metadata["status"].value == 422
    assert "landing/jobs/b.csv" in str(failure.user_failure_data.description)
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags[REFUSED_TAG] == "422"
    assert Catalog(objects).get("jobs").row_count == 1


def test_other_columns_are_refused_until_an_operator_accepts_them(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    objects.put("landing/jobs/a.csv", b"code,n\n0527A,1\n")
    assert materialize(instance, objects, tmp_path, "jobs").success
    objects.put("landing/jobs/a.csv", b"code,n,city\n0527A,1,Troy\n")
    refused = materialize(instance, objects, tmp_path, "jobs")
    failure = refused.failure_data_for_node("dataset")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.metadata["status"].value == 409
    assert Catalog(objects).get("jobs").version == 1
    assert materialize(instance, objects, tmp_path, "jobs", config={"evolve": True}).success
    assert [c.name for c in Catalog(objects).get("jobs").columns] == ["code", "n", "city"]


def test_run_over_several_partitions_describes_each(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    names = ["one", "three", "two"]
    for name in names:
        objects.put(f"landing/{name}/a.csv", b"id\n1\n")
    instance.add_dynamic_partitions("datasets", names)
    result = dg.materialize(
        [dataset, *dataset_checks],
        instance=instance,
        resources={"store": lake_store(objects, tmp_path)},
        tags={"dagster/asset_partition_range_start": "one", "dagster/asset_partition_range_end": "two"},
    )
    assert result.success
    described = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        described[materialization.partition] = materialization.metadata["dagster/row_count"].value
    assert described == dict.fromkeys(names, 1)


def test_checks_of_a_dataset_of_many_files_name_the_one_that_differs(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    files = [put_parquet(objects, "many", COLUMNS, [(n, "x")]) for n in range(40)]
    odd = put_parquet(objects, "many", {"id": "DOUBLE", "email": "VARCHAR"}, [(0.5, "x")])
    commit(objects, "many", DECLARED, *files, files[0])
    assert all(passed for passed, _ in checks_of(materialize(instance, objects, tmp_path, "many")).values())
    commit(objects, "many", DECLARED, *files, replace(odd, row_count=2))
    result = materialize(instance, objects, tmp_path, "many")
    failing = {e.check_name: str(e.description) for e in result.get_asset_check_evaluations() if not e.passed}
    assert set(failing) == {"row_count_matches_manifest", "types_as_declared"}
    assert all(odd.key in text for text in failing.values())


def test_second_file_with_another_column_is_taken_with_evolve_and_its_checks_pass(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    objects.put("landing/people/a.csv", b"id,email\n1,ann@example.org\n2,bob@example.org\n")
    assert materialize(instance, objects, tmp_path, "people").success
    objects.put("landing/people/b.csv", b"id,email,extra\n3,cat@example.org,x\n")
    assert not materialize(instance, objects, tmp_path, "people").success
    evolved = materialize(instance, objects, tmp_path, "people", config={"evolve": True})
    assert evolved.success
    assert all(passed for passed, _ in checks_of(evolved).values())
    manifest = Catalog(objects).get("people")
    assert ([c.name for c in manifest.columns], manifest.row_count) == (["id", "email", "extra"], 3)
    sample = str(latest(instance).metadata["sample"].value)
    assert "example.org" not in sample
    assert sample.splitlines()[0] == "| id | email | extra |"
