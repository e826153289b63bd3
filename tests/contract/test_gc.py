"""Garbage collection on the real store: what goes, what stays, and that a dry run only tells."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.gc import GcReport, collect_garbage
from lakehouse.catalog.history import pointer_key
from lakehouse.catalog.manifest import BrokenManifest
from lakehouse.catalog.service import Catalog, Column, DataObject, Draft
from lakehouse.clock import utc_now
from lakehouse.storage.objects import list_all

COLUMNS = (Column("id", "BIGINT"),)


def commit(catalog: Catalog, store: S3ObjectStore, *labels: str) -> None:
    files = tuple(DataObject(f"datasets/d/fp/{label}.parquet", 4, label, label, 1) for label in labels)
    for file in files:
        if store.head(file.key) is None:
            store.put(file.key, b"data")
    catalog.commit("d", lambda _: Draft(COLUMNS, files))


def collect(
    store: S3ObjectStore,
    *,
    now: datetime | None = None,
    history_days: float = 7,
    min_age_hours: float = 24,
    dry_run: bool = False,
) -> GcReport:
    return collect_garbage(
        store,
        now=now or utc_now(),
        history=timedelta(days=history_days),
        min_age=timedelta(hours=min_age_hours),
        dry_run=dry_run,
    )


def keys(store: S3ObjectStore, prefix: str) -> list[str]:
    return [info.key for info in list_all(store, prefix)]


def test_unreferenced_object_goes_only_after_its_age(objects: S3ObjectStore) -> None:
    commit(Catalog(objects), objects, "live")
    objects.put("datasets/d/fp/orphan.parquet", b"left by a killed ingest")
    assert collect(objects).collected == []
    report = collect(objects, now=utc_now() + timedelta(hours=25))
    assert [g.key for g in report.collected] == ["datasets/d/fp/orphan.parquet"]
    assert report.bytes_collected == 23
    assert keys(objects, "datasets/") == ["datasets/d/fp/live.parquet"]


def test_dry_run_tells_and_removes_nothing(objects: S3ObjectStore) -> None:
    commit(Catalog(objects), objects, "live")
    objects.put("datasets/d/fp/orphan.parquet", b"x")
    before = keys(objects, "")
    report = collect(objects, now=utc_now() + timedelta(days=2), dry_run=True)
    assert [g.key for g in report.collected] == ["datasets/d/fp/orphan.parquet"]
    assert keys(objects, "") == before


def test_superseded_version_goes_with_its_data_after_the_history(objects: S3ObjectStore) -> None:
    catalog = Catalog(objects)
    commit(catalog, objects, "shared", "old")
    commit(catalog, objects, "shared", "new")
    assert collect(objects, now=utc_now() + timedelta(days=6)).collected == []
    report = collect(objects, now=utc_now() + timedelta(days=8))
    assert {g.key for g in report.collected} == {"catalog/versions/d/1.json", "datasets/d/fp/old.parquet"}
    assert keys(objects, "datasets/") == ["datasets/d/fp/new.parquet", "datasets/d/fp/shared.parquet"]
    assert catalog.get("d").version == 2


def test_deleted_dataset_keeps_its_number_and_loses_its_data(objects: S3ObjectStore) -> None:
    catalog = Catalog(objects)
    commit(catalog, objects, "a")
    catalog.delete("d")
    assert collect(objects, now=utc_now() + timedelta(days=6)).collected == []
    collect(objects, now=utc_now() + timedelta(days=8))
    assert keys(objects, "datasets/") == []
    assert keys(objects, "catalog/versions/") == []
    commit(catalog, objects, "b")
    assert catalog.get("d").version == 2


def test_object_renewed_meanwhile_stays(objects: S3ObjectStore) -> None:
    objects.put("datasets/d/fp/again.parquet", b"x")
    # The listing says "old"; the writer has copied the object onto itself since: age counts from that copy.
    objects.copy("datasets/d/fp/again.parquet", "datasets/d/fp/again.parquet")
    assert collect(objects, min_age_hours=1).collected == []
    assert keys(objects, "datasets/") == ["datasets/d/fp/again.parquet"]


def test_broken_manifest_stops_the_collection(objects: S3ObjectStore) -> None:
    objects.put("datasets/d/fp/perhaps-referenced.parquet", b"x")
    objects.put(pointer_key("d"), b"not json")
    with pytest.raises(BrokenManifest, match=r"catalog/manifests/d\.json"):
        collect(objects, now=utc_now() + timedelta(days=30))
    assert keys(objects, "datasets/") == ["datasets/d/fp/perhaps-referenced.parquet"]


def test_second_collection_finds_nothing(objects: S3ObjectStore) -> None:
    catalog = Catalog(objects)
    commit(catalog, objects, "a")
    commit(catalog, objects, "b")
    later = utc_now() + timedelta(days=9)
    assert len(collect(objects, now=later).collected) == 2
    assert collect(objects, now=later).collected == []
