"""Folders that change after a run over them was asked for: it found less than was seen, or could not read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.manifest import Column
from lakehouse_assets.dataset import dataset
from tests.dagster_lake import commit, lake_store, put_parquet
from tests.integration.test_dagster_sensors import Ticks, landing_ticks, rewound

FILE, OPTIONS = "landing/workers/a.csv", "landing/workers/_options.json"
_LOOKS = 6


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as made:
        yield made


@pytest.fixture
def ticks(instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path) -> Ticks:
    return landing_ticks(instance, objects, tmp_path)


def run(instance: dg.DagsterInstance, objects: S3ObjectStore, folder: Path, request: dg.RunRequest) -> bool:
    return dg.materialize(
        [dataset],
        instance=instance,
        partition_key=request.partition_key,
        resources={"store": lake_store(objects, folder)},
        tags={"dagster/run_key": str(request.run_key)},
        raise_on_error=False,
    ).success


def asked(ticks: Ticks) -> list[str | None]:
    """Datasets for which runs are asked for by further looks."""
    return [request.partition_key for _ in range(_LOOKS) for request in rewound(ticks).requests()]


@pytest.mark.parametrize("has_uploads", [False, True])
def test_folder_that_was_empty_for_its_run_and_put_back_is_read_again(
    instance: dg.DagsterInstance, objects: S3ObjectStore, ticks: Ticks, tmp_path: Path, has_uploads: bool
) -> None:
    if has_uploads:
        uploaded = put_parquet(objects, "workers", {"id": "BIGINT"}, [(7,)])
        commit(objects, "workers", (Column("id", "BIGINT"),), uploaded)
    objects.put(FILE, b"id\n1\n")
    (request,) = ticks.requests()
    objects.delete(FILE)
    assert run(instance, objects, tmp_path, request) is has_uploads
    objects.put(FILE, b"id\n1\n")
    assert asked(ticks) == ["workers"]


@pytest.mark.parametrize(("mended", "expected"), [(b"{}", ["workers"]), (b"{ half", [])])
def test_options_that_were_bad_for_their_run_and_put_back_are_read_again(
    instance: dg.DagsterInstance,
    objects: S3ObjectStore,
    ticks: Ticks,
    tmp_path: Path,
    mended: bytes,
    expected: list[str],
) -> None:
    objects.put(FILE, b"id\n1\n")
    objects.put(OPTIONS, mended)
    (request,) = ticks.requests()
    objects.put(OPTIONS, b"{ half")
    assert not run(instance, objects, tmp_path, request)
    objects.put(OPTIONS, mended)
    assert asked(ticks) == expected


def test_folder_of_which_options_alone_are_left_takes_its_red_partition_along(
    instance: dg.DagsterInstance, objects: S3ObjectStore, ticks: Ticks, tmp_path: Path
) -> None:
    objects.put(FILE, b"id\n1\n")
    objects.put(OPTIONS, b"{}")
    (request,) = ticks.requests()
    objects.delete(FILE)
    assert not run(instance, objects, tmp_path, request)
    assert asked(ticks) == []
    assert instance.get_dynamic_partitions("datasets") == []
