"""Operations on a whole bucket: backup and restore in a consistent cut, upgrade, retention."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.history import POINTERS, VERSIONS, pointer_key
from lakehouse.catalog.manifest import Manifest
from lakehouse.catalog.service import Catalog, Column, Draft
from lakehouse.clock import utc_now
from lakehouse.errors import BadInput, Conflict, Gone, NotFound, StoreUnavailable, Unprocessable
from lakehouse.operations.backup import back_up
from lakehouse.operations.cut import BackupFolder
from lakehouse.operations.formats import FORMATS, Document, StoredFormat, version_field
from lakehouse.operations.restore import restore
from lakehouse.operations.retention import apply_retention
from lakehouse.operations.upgrade import upgrade
from lakehouse.storage.objects import ObjectStore, StoredObject, list_all
from tests.dagster_lake import commit, put_parquet
from tests.fakes.objects import MemoryObjects
from tests.ingesting import IngestDesk
from tests.servers import StoreServer

COLUMNS = (Column("id", "BIGINT"),)


@pytest.fixture
def empty(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    """A second bucket of the real server, for restoring into."""
    store = store_process.objects(bucket="restored")
    yield store
    store_process.drop_bucket(store.bucket)


def contents(store: ObjectStore) -> dict[str, bytes]:
    return {info.key: store.get(info.key).body for info in list_all(store, "")}


def add_version(store: ObjectStore, name: str, row: int) -> Manifest:
    """A version whose one object is named by its content, as the ingester names it."""
    made = put_parquet(store, name, {"id": "BIGINT"}, [(row,)])  # type: ignore[arg-type]
    return Catalog(store).commit(name, lambda _: Draft(COLUMNS, (made,))).manifest


def test_restored_bucket_has_the_same_catalog_versions_times_and_bytes(
    objects: S3ObjectStore, empty: S3ObjectStore, tmp_path: Path
) -> None:
    desk = IngestDesk(objects, tmp_path)
    first = desk.load("id,code\n1,007\n", "codes").manifest
    second = desk.load("id,code\n1,007\n2,0527A\n", "codes").manifest
    desk.load("id\n1\n", "gone")
    desk.catalog.delete("gone")
    objects.put("landing/codes/later.csv", b"id,code\n3,1\n")
    objects.put("files/räum/ü.txt", b"")
    report = back_up(objects, tmp_path / "backup", now=utc_now())
    assert report.damaged == []
    assert report.cut.keys == len(contents(objects))

    assert restore(empty, tmp_path / "backup").restored == report.cut.keys
    assert contents(empty) == contents(objects)
    before, after = Catalog(objects), Catalog(empty)
    assert after.get("codes") == before.get("codes") == second
    assert after.get("codes", version=1) == first
    assert after.get("codes", as_of=second.updated_at - timedelta(microseconds=1)) == first
    assert after.find("gone") is None
    again = IngestDesk(empty, tmp_path)
    assert again.rows("codes") == [(1, "007"), (2, "0527A")]
    assert again.load("id,code\n1,007\n2,0527A\n", "codes").existing
    assert again.load("id\n5\n", "gone").manifest.version > 1


def test_second_backup_copies_only_what_is_new_and_prune_drops_the_rest(tmp_path: Path) -> None:
    store = MemoryObjects()
    add_version(store, "a", 1)
    assert back_up(store, tmp_path, now=utc_now()).copied == 3
    assert back_up(store, tmp_path, now=utc_now()).copied == 0
    store.put("files/x", b"old")
    back_up(store, tmp_path, now=utc_now())
    store.put("files/x", b"new")
    report = back_up(store, tmp_path, now=utc_now(), prune=True)
    assert (report.copied, report.pruned) == (1, 1)
    target = MemoryObjects()
    restore(target, tmp_path)
    assert contents(target) == contents(store)


class BusyObjects(MemoryObjects):
    """A bucket in which somebody commits whenever somebody reads: between any two steps of a backup lies a write."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self._names = itertools.cycle(names)
        self._rows = itertools.count(1)
        self._is_writing = False
        self.is_busy = False

    def _answer(self, key: str) -> None:
        super()._answer(key)
        if self.is_busy and not self._is_writing:
            self._is_writing = True
            add_version(self, next(self._names), next(self._rows))
            self._is_writing = False


def test_backup_during_writes_restores_to_a_consistent_cut(tmp_path: Path) -> None:
    names = ("a", "b", "c")
    store = BusyObjects(names)
    for name in names:
        add_version(store, name, 0)
    for _ in range(2):
        store.is_busy = True
        report = back_up(store, tmp_path / "backup", now=utc_now())
        store.is_busy = False
        target = MemoryObjects()
        restore(target, tmp_path / "backup")
        assert report.cut.keys == len(contents(target)) < len(contents(store))
        catalog = Catalog(target)
        for name in names:
            live = catalog.get(name)
            stored = [info.key for info in list_all(target, f"{VERSIONS}{name}/")]
            assert len(stored) == live.version, "no version after the one that serves, none missing before it"
            for version in range(1, live.version + 1):
                assert all(target.head(o.key) for o in catalog.get(name, version=version).objects)
            assert add_version(target, name, -1).version == live.version + 1


def test_interrupted_backup_goes_on_and_the_former_one_holds_meanwhile(tmp_path: Path) -> None:
    class Failing(MemoryObjects):
        left = 1_000_000

        def get(self, key: str) -> StoredObject:
            self.left -= 1
            self.is_down = self.left < 0
            return super().get(key)

    store = Failing()
    first = add_version(store, "a", 1)
    back_up(store, tmp_path, now=utc_now())
    for row in range(2, 8):
        add_version(store, "a", row)
    store.left = 5
    with pytest.raises(StoreUnavailable):
        back_up(store, tmp_path, now=utc_now())
    target = MemoryObjects()
    restore(target, tmp_path)
    assert Catalog(target).get("a") == first
    store.left, store.is_down = 1_000_000, False
    assert back_up(store, tmp_path, now=utc_now()).unchanged >= 5
    target = MemoryObjects()
    restore(target, tmp_path)
    assert contents(target) == contents(store)


def test_restore_refuses_a_bucket_that_is_not_empty(tmp_path: Path) -> None:
    store = MemoryObjects()
    add_version(store, "a", 1)
    back_up(store, tmp_path, now=utc_now())
    target = MemoryObjects()
    target.put("files/mine", b"1")
    with pytest.raises(Conflict, match="not empty"):
        restore(target, tmp_path)
    assert contents(target) == {"files/mine": b"1"}
    restore(target, tmp_path, force=True)
    assert contents(target) == contents(store) | {"files/mine": b"1"}


def test_folder_without_a_whole_backup_restores_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no finished backup"):
        restore(MemoryObjects(), tmp_path)
    store = MemoryObjects()
    add_version(store, "a", 1)
    cut = back_up(store, tmp_path, now=utc_now()).cut
    folder = BackupFolder(tmp_path)
    entry = next(folder.entries(cut))
    folder.blob_path(entry.sha256).write_bytes(b"")
    target = MemoryObjects()
    with pytest.raises(Unprocessable, match="missing or damaged"):
        restore(target, tmp_path)
    assert contents(target) == {}
    (tmp_path / cut.keys_file).write_bytes(b"{}\n")
    with pytest.raises(Unprocessable, match="damaged"):
        restore(target, tmp_path)
    head = json.loads((tmp_path / "cut.json").read_text())
    (tmp_path / "cut.json").write_text(json.dumps(head | {"format_version": 2}))
    with pytest.raises(BadInput, match="newer"):
        restore(target, tmp_path)


def test_backup_of_a_bucket_that_lost_data_says_so_and_leaves_the_former_one(tmp_path: Path) -> None:
    store = MemoryObjects()
    manifest = add_version(store, "a", 1)
    former = back_up(store, tmp_path, now=utc_now()).cut
    store.delete(manifest.objects[0].key)
    with pytest.raises(Conflict, match="not in the bucket"):
        back_up(store, tmp_path, now=utc_now())
    assert BackupFolder(tmp_path).read_cut() == former


def test_content_that_is_not_what_its_key_says_is_reported(tmp_path: Path) -> None:
    store = MemoryObjects()
    key = add_version(store, "a", 1).objects[0].key
    store.put(key, b"rotten")
    assert back_up(store, tmp_path, now=utc_now()).damaged == [key]


def with_format_version(store: ObjectStore, key: str, version: int) -> None:
    document = orjson.loads(store.get(key).body)
    store.put(key, orjson.dumps(document | {"format_version": version}))


def raise_by_one(document: Document) -> Document:
    return {**document, "format_version": version_field(document) + 1}


def test_dry_run_on_one_older_tells_and_changes_nothing_and_the_upgrade_is_done_once(objects: S3ObjectStore) -> None:
    commit(objects, "a", COLUMNS, put_parquet(objects, "a", {"id": "BIGINT"}, [(1,)]))
    before = contents(objects)
    newer = tuple(
        StoredFormat(f.name, f.prefix, f.suffix, f.version + 1, f.read_version) for f in FORMATS if f.prefix == POINTERS
    )
    migrations = {("manifest", newer[0].version - 1): raise_by_one}
    told = upgrade(objects, dry_run=True, formats=newer, migrations=migrations)
    assert [r.key for r in told.rewrites] == [pointer_key("a")]
    assert contents(objects) == before
    upgrade(objects, dry_run=False, formats=newer, migrations=migrations)
    stored = orjson.loads(objects.get(pointer_key("a")).body)
    assert stored == orjson.loads(before[pointer_key("a")]) | {"format_version": newer[0].version}
    assert upgrade(objects, dry_run=False, formats=newer, migrations=migrations).rewrites == []


def test_dry_run_on_one_newer_is_refused_and_names_it(objects: S3ObjectStore) -> None:
    commit(objects, "a", COLUMNS, put_parquet(objects, "a", {"id": "BIGINT"}, [(1,)]))
    with_format_version(objects, pointer_key("a"), 99)
    before = contents(objects)
    for dry_run in (True, False):
        with pytest.raises(Conflict, match=r"catalog/manifests/a\.json \(manifest version 99"):
            upgrade(objects, dry_run=dry_run)
    assert contents(objects) == before


def test_one_older_without_a_migration_is_refused(objects: S3ObjectStore) -> None:
    commit(objects, "a", COLUMNS, put_parquet(objects, "a", {"id": "BIGINT"}, [(1,)]))
    with_format_version(objects, pointer_key("a"), 0)
    with pytest.raises(Conflict, match="cannot upgrade"):
        upgrade(objects, dry_run=True)


def test_what_is_no_document_is_reported_and_stops_nothing(objects: S3ObjectStore) -> None:
    commit(objects, "a", COLUMNS, put_parquet(objects, "a", {"id": "BIGINT"}, [(1,)]))
    objects.put(pointer_key("b"), b"{")
    report = upgrade(objects, dry_run=True)
    assert report.unreadable == [pointer_key("b")]
    assert report.found["manifest", 1] == 1


def test_retention_removes_only_what_is_old_and_folded(tmp_path: Path) -> None:
    now = utc_now()
    age = timedelta(0)
    store = MemoryObjects(clock=lambda: now - age)
    for age in (timedelta(days=40), timedelta(days=1)):
        for prefix in ("receipts/dataset/a/", "log/playbooks/w/", "log/open/w/", "raw/audits/dt=2026-01-01/"):
            store.put(f"{prefix}{age.days}.json", b"1")
    rules = {
        "now": now,
        "log_age": timedelta(days=30),
        "receipt_age": timedelta(days=30),
        "is_folded": lambda key: key.startswith("log/playbooks/"),
    }
    before = contents(store)
    told = apply_retention(store, dry_run=True, **rules)  # type: ignore[arg-type]
    assert contents(store) == before
    done = apply_retention(store, dry_run=False, **rules)  # type: ignore[arg-type]
    gone = {"receipts/dataset/a/40.json", "log/playbooks/w/40.json"}
    assert {i.key for i in told.expired} == {i.key for i in done.expired} == before.keys() - contents(store).keys()
    assert before.keys() - contents(store).keys() == gone


def test_version_past_its_history_is_gone_in_the_restored_bucket_too(tmp_path: Path) -> None:
    store = MemoryObjects()
    add_version(store, "a", 1)
    live = add_version(store, "a", 2)
    back_up(store, tmp_path, now=utc_now())
    target = MemoryObjects()
    restore(target, tmp_path)
    short = Catalog(target, history=timedelta(0))
    assert short.get("a") == live
    with pytest.raises(Gone):
        short.get("a", version=1)
