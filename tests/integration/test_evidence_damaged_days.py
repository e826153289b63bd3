"""Days of evidence whose raw objects cannot be read: they fail alone, and the others are as after any run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from lakehouse.adapters.evidence_materializer import EvidenceMaterializer, RunFacts
from lakehouse.adapters.objects import S3Location, S3ObjectStore
from lakehouse.errors import StoreUnavailable
from lakehouse_assets.evidence import evidence_key
from lakehouse_assets.resources import LakeConnection, LakeStore
from tests.dagster_lake import lake_environ
from tests.integration.test_evidence_assets import DAYS, line, materialize, put, served


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as made:
        yield made


class UnreadableObject(S3ObjectStore):
    """The real store, of which some keys cannot be read: the disk below it has lost their bytes."""

    def __init__(self, location: S3Location, part: str) -> None:
        super().__init__(location)
        self._part = part

    def open(self, key: str, **options: Any) -> Any:
        if self._part in key:
            raise StoreUnavailable(f"the object store refused {key!r}: InternalError", key=key)
        return super().open(key, **options)


class DamagedLake(LakeStore):
    """A lake whose raw objects of one day cannot be read."""

    unreadable: str

    @property
    def lake(self) -> LakeConnection:
        lake = super().lake
        objects = UnreadableObject(lake.objects.location, self.unreadable)
        lake.evidence = EvidenceMaterializer(objects, work_dir=lake.work_dir)
        return lake


def counted_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that are read from now on."""
    tried: list[str] = []
    refuse = UnreadableObject.open

    def counted(store: UnreadableObject, key: str, **options: Any) -> Any:
        tried.append(key)
        return refuse(store, key, **options)

    monkeypatch.setattr(UnreadableObject, "open", counted)
    return tried


def test_day_that_cannot_be_read_fails_alone_and_those_behind_it_are_made(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    for day in DAYS:
        put(objects, day, "a", [line(f"of-{day}", day)])
    store = DamagedLake(environ=lake_environ(objects, tmp_path), unreadable=DAYS[1])
    result = materialize(instance, store, DAYS[0], DAYS[-1])
    assert not result.success
    failure = result.failure_data_for_node("evidence__audits")
    assert failure is not None
    assert failure.user_failure_data is not None
    said = str(failure.user_failure_data.description).splitlines()
    assert said[0] == "1 of 3 partitions failed, the others are up to date:"
    assert f"{DAYS[1]}: Service unavailable: the object store refused" in said[1]
    assert instance.get_materialized_partitions(evidence_key("audits")) == {DAYS[0], DAYS[2]}
    assert len(served(store, tmp_path, "FROM evidence")) == 2
    assert not materialize(instance, store, DAYS[1]).success


def test_day_that_the_store_has_lost_is_tried_once_in_a_run(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(objects, DAYS[0], "a", [line(f"of-{DAYS[0]}", DAYS[0])])
    tried = counted_reads(monkeypatch)
    result = materialize(instance, DamagedLake(environ=lake_environ(objects, tmp_path), unreadable=DAYS[0]), DAYS[0])
    failure = result.failure_data_for_node("evidence__audits")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert str(failure.user_failure_data.description).startswith("Service unavailable: the object store refused")
    assert sum(DAYS[0] in key for key in tried) == 1


def test_only_day_of_a_store_that_gives_nothing_is_no_damaged_one(objects: S3ObjectStore, tmp_path: Path) -> None:
    put(objects, DAYS[0], "a", [line(f"of-{DAYS[0]}", DAYS[0])])
    day, run = [date.fromisoformat(DAYS[0])], RunFacts("run")
    damaged = EvidenceMaterializer(UnreadableObject(objects.location, DAYS[0]), work_dir=tmp_path)
    (told,) = damaged.materialize("audits", day, run, stops_at_failure=False)
    assert isinstance(told.error, StoreUnavailable)
    away = EvidenceMaterializer(UnreadableObject(objects.location, ""), work_dir=tmp_path)
    with pytest.raises(StoreUnavailable):
        list(away.materialize("audits", day, run, stops_at_failure=False))


def test_store_that_gives_no_day_is_not_asked_for_each(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in DAYS:
        put(objects, day, "a", [line(f"of-{day}", day)])
    tried = counted_reads(monkeypatch)
    store = DamagedLake(environ=lake_environ(objects, tmp_path), unreadable="raw/")
    assert not materialize(instance, store, DAYS[0], DAYS[-1]).success
    attempts = sum(DAYS[0] in key for key in tried)
    assert len(tried) == 3 * attempts  # each has tried the first day, and looked at two others


def test_days_that_are_done_tell_what_they_were_made_of_though_others_fail(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    for day in DAYS:
        put(objects, day, "a", [line(f"of-{day}", day)], stream="agent_trajectories")
    version = {"dagster/data_version": "v7"}
    instance.report_runless_asset_event(dg.AssetMaterialization("agent_trajectories", tags=version))
    store = DamagedLake(environ=lake_environ(objects, tmp_path), unreadable=DAYS[1])
    assert not materialize(instance, store, DAYS[0], DAYS[-1], stream="agent_trajectories").success
    made = instance.fetch_materializations(evidence_key("agent_trajectories"), limit=10).records
    tags = [record.asset_materialization.tags or {} for record in made if record.asset_materialization is not None]
    assert [tag["dagster/input_data_version/agent_trajectories"] for tag in tags] == ["v7", "v7"]
