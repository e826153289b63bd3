"""The catalog on the real store: commits, races, history, deletes, broken manifests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.history import pointer_key, version_key
from lakehouse.catalog.manifest import BrokenManifest, Manifest
from lakehouse.catalog.service import Catalog, Column, DataObject, Draft
from lakehouse.catalog.snapshot import CatalogWatcher
from lakehouse.errors import BadInput, Conflict, Gone, NotFound, PreconditionFailed
from lakehouse.storage.objects import ObjectInfo, list_all

COLUMNS = (Column("id", "BIGINT"), Column("email", "VARCHAR", pii=True))


def data_object(label: str, rows: int = 1) -> DataObject:
    return DataObject(f"datasets/d/fp/{label}.parquet", 10, label * 4, f"source-{label}", rows)


def replacing(label: str):
    return lambda _: Draft(COLUMNS, (data_object(label),), committed_by="tester")


def appending(label: str):
    return lambda live: Draft(COLUMNS, ((live.objects if live else ()) + (data_object(label),)))


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_time(self, **amount: float) -> datetime:
        self.now += timedelta(**amount)
        return self.now


class RetriedStore(S3ObjectStore):
    """A client whose first answers get lost: every conditional PUT reaches the server twice, as a retry would."""

    def put(self, key: str, body: bytes | Path, **options: object) -> ObjectInfo:
        super().put(key, body, **options)  # type: ignore[arg-type]
        return super().put(key, body, **options)  # type: ignore[arg-type]


def test_first_commit_makes_version_1_and_both_documents(objects: S3ObjectStore) -> None:
    commit = Catalog(objects).commit("workers", replacing("a"))
    assert commit.is_new_version
    assert commit.previous is None
    assert commit.manifest.version == 1
    assert objects.get(pointer_key("workers")).body == objects.get(version_key("workers", 1)).body
    assert Catalog(objects).get("workers") == commit.manifest


def test_racing_writers_lose_no_version(objects: S3ObjectStore) -> None:
    def write(number: int) -> int:
        return Catalog(objects).commit("workers", appending(f"w{number}")).manifest.version

    with ThreadPoolExecutor(64) as pool:
        versions = sorted(pool.map(write, range(64)))
    final = Catalog(objects).get("workers")
    assert len(set(versions)) == 64
    assert {o.sha256 for o in final.objects} == {f"w{n}" * 4 for n in range(64)}
    assert final.version == versions[-1]
    assert final.version - len(final.skipped) == 64


def test_lost_answers_are_found_by_the_commit_id(objects: S3ObjectStore) -> None:
    catalog = Catalog(RetriedStore(objects.location))
    assert catalog.commit("workers", replacing("a")).manifest.version == 1
    assert catalog.commit("workers", replacing("b")).manifest.version == 2
    assert catalog.delete("workers").deleted_at is not None


def test_update_that_refuses_changes_nothing(objects: S3ObjectStore) -> None:
    catalog = Catalog(objects)
    catalog.commit("workers", replacing("a"))
    before = [(i.key, i.etag) for i in list_all(objects, "")]

    def refuse(_: Manifest | None) -> Draft:
        raise Conflict("drift")

    with pytest.raises(Conflict):
        catalog.commit("workers", refuse)
    assert [(i.key, i.etag) for i in list_all(objects, "")] == before


def test_update_that_returns_none_keeps_the_version(objects: S3ObjectStore) -> None:
    catalog = Catalog(objects)
    catalog.commit("workers", replacing("a"))
    again = catalog.commit("workers", lambda live: None)
    assert not again.is_new_version
    assert again.manifest.version == 1


def test_version_of_a_dead_writer_is_skipped(objects: S3ObjectStore) -> None:
    catalog = Catalog(objects, patience_s=0.1)
    first = catalog.commit("workers", replacing("a")).manifest
    orphan = replace(first, version=2, commit_id="died-before-the-pointer-moved")
    objects.put(version_key("workers", 2), orphan.to_json(), if_absent=True)
    after = catalog.commit("workers", replacing("b")).manifest
    assert after.version == 3
    assert after.skipped == (2,)
    assert after.parent_version == 1
    with pytest.raises(NotFound, match="no version 2"):
        catalog.get("workers", version=2)
    assert [m.version for m in catalog.versions("workers")] == [3, 1]


@pytest.mark.parametrize("name", ["Workers", "1x", "", "a-b", "a" * 64, "evidence", "evidence_index", "../x"])
def test_refused_name_writes_nothing(objects: S3ObjectStore, name: str) -> None:
    with pytest.raises(BadInput, match="is refused"):
        Catalog(objects).commit(name, replacing("a"))
    assert list(list_all(objects, "")) == []


def test_as_of_finds_the_version_that_served(objects: S3ObjectStore) -> None:
    clock = Clock()
    catalog = Catalog(objects, clock=clock)
    times = []
    for label in "abcde":
        times.append(clock.pass_time(hours=1))
        catalog.commit("workers", replacing(label))
    for number, moment in enumerate(times, start=1):
        assert catalog.get("workers", as_of=moment).version == number
        assert catalog.get("workers", as_of=moment + timedelta(minutes=59)).version == number
    with pytest.raises(NotFound, match="was not there yet"):
        catalog.get("workers", as_of=times[0] - timedelta(seconds=1))


def test_time_past_the_history_is_gone_and_says_the_oldest(objects: S3ObjectStore) -> None:
    clock = Clock()
    catalog = Catalog(objects, clock=clock, history=timedelta(days=7))
    first = catalog.commit("workers", replacing("a")).manifest
    clock.pass_time(days=1)
    second = catalog.commit("workers", replacing("b")).manifest
    clock.pass_time(days=8)
    with pytest.raises(Gone) as caught:
        catalog.get("workers", version=first.version)
    assert caught.value.fields["oldest"] == "2026-01-02T00:00:00.000000Z"
    with pytest.raises(Gone):
        catalog.get("workers", as_of=first.updated_at)
    assert catalog.get("workers", version=second.version).version == 2


def test_clock_that_goes_back_keeps_updated_at_rising(objects: S3ObjectStore) -> None:
    clock = Clock()
    catalog = Catalog(objects, clock=clock)
    first = catalog.commit("workers", replacing("a")).manifest
    clock.pass_time(hours=-3)
    second = catalog.commit("workers", replacing("b")).manifest
    assert second.updated_at > first.updated_at


def test_deleted_dataset_is_absent_readable_by_version_and_counts_on(objects: S3ObjectStore) -> None:
    clock = Clock()
    catalog = Catalog(objects, clock=clock)
    first = catalog.commit("workers", replacing("a")).manifest
    deleted_at = clock.pass_time(hours=1)
    catalog.delete("workers", by="operator")
    assert catalog.find("workers") is None
    assert dict(catalog.list().manifests) == {}
    with pytest.raises(NotFound, match="was deleted"):
        catalog.get("workers")
    assert catalog.get("workers", version=1).objects == first.objects
    with pytest.raises(NotFound):
        catalog.delete("workers")
    clock.pass_time(hours=1)
    reborn = catalog.commit("workers", replacing("b"))
    assert reborn.manifest.version == 2
    assert reborn.previous is None
    assert reborn.manifest.dataset_id == first.dataset_id
    with pytest.raises(NotFound, match="was deleted at"):
        catalog.get("workers", as_of=deleted_at + timedelta(minutes=1))
    assert catalog.get("workers", as_of=deleted_at - timedelta(minutes=1)).version == 1


def test_broken_manifest_hides_only_itself(objects: S3ObjectStore) -> None:
    catalog = Catalog(objects)
    catalog.commit("good", replacing("a"))
    objects.put(pointer_key("bad"), b'{"format_version": 1, "name": "bad"')
    snapshot = catalog.list()
    assert list(snapshot.manifests) == ["good"]
    assert list(snapshot.broken) == ["bad"]
    with pytest.raises(BrokenManifest, match=r"catalog/manifests/bad\.json"):
        catalog.get("bad")


def test_manifest_of_a_newer_format_is_refused_not_misread(objects: S3ObjectStore) -> None:
    manifest = Catalog(objects).commit("workers", replacing("a")).manifest
    objects.put(pointer_key("workers"), replace(manifest, format_version=99).to_json())
    with pytest.raises(BrokenManifest, match="newer than this program"):
        Catalog(objects).get("workers")


def test_catalog_is_whole_from_the_bucket_alone(objects: S3ObjectStore) -> None:
    for name in ("alpha", "beta", "gamma"):
        Catalog(objects).commit(name, replacing(name))
    elsewhere = Catalog(S3ObjectStore(objects.location))
    assert list(elsewhere.list().manifests) == ["alpha", "beta", "gamma"]


def test_dataset_from_before_its_name_was_reserved_is_read_and_deleted_and_never_made_again(
    objects: S3ObjectStore,
) -> None:
    catalog = Catalog(objects)
    old = replace(catalog.commit("d", replacing("x")).manifest, name="evidence_index")
    objects.put(version_key("evidence_index", 1), old.to_json())
    objects.put(pointer_key("evidence_index"), old.to_json())
    assert catalog.get("evidence_index") == old
    assert catalog.versions("evidence_index") == [old]
    with pytest.raises(BadInput, match="reserved view name"):
        catalog.commit("evidence_index", replacing("y"))
    catalog.delete("evidence_index")
    assert "evidence_index" not in catalog.list().manifests
    with pytest.raises(NotFound, match="was deleted"):
        catalog.get("evidence_index")
    for act in (catalog.get, catalog.versions, catalog.delete):
        with pytest.raises(BadInput, match="reserved view name"):
            act("evidence")


def test_watcher_sees_commits_and_deletes_and_fetches_only_changes(objects: S3ObjectStore) -> None:
    catalog = Catalog(objects)
    catalog.commit("alpha", replacing("a"))
    watcher = CatalogWatcher(objects)
    assert watcher.is_stale
    first = watcher.refresh()
    assert list(first.manifests) == ["alpha"]
    assert watcher.refresh() is first
    catalog.commit("beta", replacing("b"))
    second = watcher.refresh()
    assert list(second.manifests) == ["alpha", "beta"]
    assert second.manifests["alpha"] is first.manifests["alpha"]
    assert second.generation > first.generation
    catalog.delete("alpha")
    assert list(watcher.refresh().manifests) == ["beta"]
    assert not watcher.is_stale


def test_second_first_writer_loses_the_conditional_put(objects: S3ObjectStore) -> None:
    objects.put("catalog/versions/x/1.json", b"{}", if_absent=True)
    with pytest.raises(PreconditionFailed):
        objects.put("catalog/versions/x/1.json", b"{}", if_absent=True)
