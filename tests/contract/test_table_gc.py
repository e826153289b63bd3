"""Garbage of tables of partitions on the real store: what goes, what stays, and that a dry run only tells."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.gc import GcReport
from lakehouse.catalog.manifest import BrokenManifest
from lakehouse.catalog.partitioned import Partition, PartitionedTable, PartitionFile
from lakehouse.clock import utc_now
from lakehouse.operations.garbage import collect_all_garbage
from lakehouse.storage.objects import ObjectStore, list_all
from tests.fakes.objects import MemoryObjects

TABLE = "evidence/audits"
FOLDER = "evidence/audits/dt=2026-03-01/"


def serve(store: ObjectStore, *labels: str, table: str = TABLE) -> None:
    """A version whose one partition has these files."""
    files = tuple(PartitionFile("evidence", f"{FOLDER}{label}.parquet", 4, label, 1) for label in labels)
    for file in files:
        if store.head(file.key) is None:
            store.put(file.key, b"data")
    mark = PartitionFile("mark", "no object", 0, "", 0)
    partition = Partition("-".join(labels), (*files, mark))
    PartitionedTable(store, table).commit(lambda _: {"2026-03-01": partition})


def collect(store: ObjectStore, *, days: float, dry_run: bool = False) -> GcReport:
    now = utc_now() + timedelta(days=days)
    return collect_all_garbage(store, now=now, history=timedelta(days=7), min_age=timedelta(days=1), dry_run=dry_run)


def keys(store: ObjectStore, prefix: str = "") -> set[str]:
    return {info.key for info in list_all(store, prefix)}


def files(store: ObjectStore) -> set[str]:
    return {key.removeprefix(FOLDER).removesuffix(".parquet") for key in keys(store, "evidence/")}


def test_files_that_no_version_names_go_after_their_age(objects: S3ObjectStore) -> None:
    serve(objects, "live")
    orphans = {
        "evidence/audits/dt=2026-03-02/orphan.parquet", "evidence/index/index-orphan.parquet",
        "scored/dt=2026-03-01/orphan.parquet", "quarantine/evidence/dt=2026-03-01/audits-orphan.jsonl",
        "exports/sft/b/manifest.json",
    }  # fmt: skip
    others = {"quarantine/corpus/x.jsonl", "raw/audits/dt=2026-03-01/a.jsonl"}
    for key in orphans | others:
        objects.put(key, b"left by a killed run")
    before = keys(objects)
    assert collect(objects, days=0.9).collected == []
    told = collect(objects, days=1.1, dry_run=True)
    assert {garbage.key for garbage in told.collected} == orphans
    assert keys(objects) == before
    done = collect(objects, days=1.1)
    assert (done.collected, done.bytes_collected) == (told.collected, 5 * 20)
    assert keys(objects) == before - orphans
    assert collect(objects, days=100).collected == []


def test_files_that_a_kept_version_names_stay_until_it_goes(objects: S3ObjectStore) -> None:
    serve(objects, "shared", "old")
    serve(objects, "shared", "new")
    assert collect(objects, days=6.9).collected == []
    report = collect(objects, days=7.1)
    assert {garbage.key for garbage in report.collected} == {f"catalog/tables/{TABLE}/1.json", f"{FOLDER}old.parquet"}
    assert files(objects) == {"shared", "new"}
    assert PartitionedTable(objects, TABLE).read().version == 2


def test_files_that_another_table_names_stay(objects: S3ObjectStore) -> None:
    serve(objects, "old")
    serve(objects, "old", table="evidence_index")
    serve(objects, "new")
    collect(objects, days=100)
    assert files(objects) == {"old", "new"}


def test_builds_that_are_kept_stay_whole_and_what_a_killed_one_left_goes(objects: S3ObjectStore) -> None:
    kept, left = "exports/sft/kept/", "exports/sft/left/"
    for folder in (kept, left):
        for name in ("README.md", "train.jsonl", "manifest.json"):
            objects.put(folder + name, b"data")
    build = Partition(
        "kept", tuple(PartitionFile(name, kept + name, 4, "", 1) for name in ("README.md", "train.jsonl"))
    )
    PartitionedTable(objects, "builds").commit(lambda _: {"sft/kept": build})
    collect(objects, days=1.1)
    assert keys(objects, "exports/") == {f"{kept}{name}" for name in ("README.md", "train.jsonl", "manifest.json")}


def test_damaged_manifest_stops_the_collection() -> None:
    store = MemoryObjects()
    serve(store, "live")
    store.put("evidence/orphan.parquet", b"x")
    store.put(f"catalog/tables/{TABLE}.json", b"{")
    before = keys(store)
    with pytest.raises(BrokenManifest, match="catalog/tables/evidence/audits"):
        collect(store, days=100)
    assert keys(store) == before


class BusyStore(MemoryObjects):
    """A bucket in which a new version comes and names an old file, in the moment before `at` is listed or deleted."""

    at = ""

    def list(self, prefix: str, **given: object):  # type: ignore[no-untyped-def,override]
        if prefix == self.at:
            self.at = ""
            serve(self, "late", "live")
        return super().list(prefix, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("at", ["evidence/", "scored/", "catalog/tables/"])
def test_version_that_comes_meanwhile_loses_nothing(at: str) -> None:
    store = BusyStore()
    store.put(f"{FOLDER}late.parquet", b"data")
    serve(store, "live")
    store.at = at
    collect(store, days=5)
    assert store.at == ""
    assert files(store) == {"late", "live"}
    collect(store, days=100)
    assert files(store) == {"late", "live"}
