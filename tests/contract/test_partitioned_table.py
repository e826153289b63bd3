"""Tables of partitions on the real store: versions, races, lost answers, damaged manifests; the stored form."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.manifest import BrokenManifest
from lakehouse.catalog.partitioned import Partition, PartitionedTable, PartitionFile, TableManifest
from lakehouse.errors import NotFound, PreconditionFailed, StoreUnavailable, Unavailable
from lakehouse.storage.objects import ObjectInfo, list_all
from tests.fakes.objects import MemoryObjects

TABLE = "evidence/audits"
KEY = "catalog/tables/evidence/audits.json"
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "evidence" / "table_manifest.json"
MOMENT = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)


def partition(label: str, **counts: int) -> Partition:
    file = PartitionFile("evidence", f"evidence/audits/{label}.parquet", 10, label * 2, 1)
    return Partition(f"fingerprint of {label}", (file,), counts, f"receipts/{label}.json")


def put(store: S3ObjectStore | MemoryObjects, *labels: str) -> TableManifest:
    return PartitionedTable(store, TABLE).commit(lambda _: {label: partition(label) for label in labels})


def stored(store: S3ObjectStore | MemoryObjects) -> dict[str, str]:
    return {info.key: info.etag for info in list_all(store, "")}


def test_table_that_nobody_has_written_is_empty(objects: S3ObjectStore) -> None:
    manifest = PartitionedTable(objects, TABLE).read()
    assert (manifest.version, manifest.partitions) == (0, {})
    assert PartitionedTable(objects, TABLE).read_version(0) == manifest
    with pytest.raises(NotFound):
        PartitionedTable(objects, TABLE).read_version(1)


def test_each_commit_is_a_version_that_can_be_read_later(objects: S3ObjectStore) -> None:
    made = [put(objects, label) for label in "abc"]
    assert [manifest.version for manifest in made] == [1, 2, 3]
    table = PartitionedTable(objects, TABLE)
    assert [table.read_version(number) for number in (1, 2, 3)] == made
    assert table.read() == made[-1]
    assert set(table.read().partitions) == set("abc")
    assert set(stored(objects)) == {KEY, f"{KEY[:-5]}/1.json", f"{KEY[:-5]}/2.json"}


def test_stored_form_has_every_field() -> None:
    made = partition("a", rows=3)
    manifest = TableManifest(TABLE, 1, "c", MOMENT, {"day": made})
    assert orjson.loads(manifest.to_json())["partitions"] == {"day": orjson.loads(orjson.dumps(asdict(made)))}


def test_none_removes_a_partition(objects: S3ObjectStore) -> None:
    put(objects, "a", "b")
    moved = PartitionedTable(objects, TABLE).commit(lambda _: {"a": None, "never there": None})
    assert (moved.version, set(moved.partitions)) == (2, {"b"})


def test_commit_that_changes_nothing_writes_nothing(objects: S3ObjectStore) -> None:
    first = put(objects, "a", "b")
    before = stored(objects)
    assert put(objects, "a") == first
    assert PartitionedTable(objects, TABLE).commit(lambda _: {"gone": None}) == first
    assert PartitionedTable(objects, TABLE).commit(lambda _: {}) == first
    assert stored(objects) == before


def test_update_that_raises_changes_nothing(objects: S3ObjectStore) -> None:
    put(objects, "a")
    before = stored(objects)

    def refuse(_: TableManifest) -> dict[str, Partition]:
        raise NotFound("no")

    with pytest.raises(NotFound, match="no"):
        PartitionedTable(objects, TABLE).commit(refuse)
    assert stored(objects) == before


def test_racing_writers_lose_no_partition(objects: S3ObjectStore) -> None:
    names = [[f"{writer}-{number}" for number in range(4)] for writer in range(8)]

    def write(mine: list[str]) -> list[int]:
        store = S3ObjectStore(objects.location)
        return [put(store, name).version for name in mine]

    with ThreadPoolExecutor(8) as pool:
        versions = [version for made in pool.map(write, names) for version in made]
    table = PartitionedTable(objects, TABLE)
    assert sorted(versions) == list(range(1, 33))
    assert set(table.read().partitions) == {name for mine in names for name in mine}
    # No version was lost either, and each has one partition more than the one before.
    assert [len(table.read_version(number).partitions) for number in range(1, 33)] == list(range(1, 33))


def test_racing_writers_of_one_partition_leave_what_one_of_them_made(objects: S3ObjectStore) -> None:
    def count(writer: int) -> None:
        def add(live: TableManifest) -> dict[str, Partition]:
            there = live.partitions.get("sum")
            said = {} if there is None else dict(there.counts)
            return {"sum": partition("sum", **{**said, f"writer {writer}": 1})}

        PartitionedTable(S3ObjectStore(objects.location), TABLE).commit(add)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    assert len(PartitionedTable(objects, TABLE).read().partitions["sum"].counts) == 8


class LossyObjects(MemoryObjects):
    """PUTs of the pointer arrive; what comes back is `answer`, after `meanwhile` was done."""

    def __init__(self, answer: type[Exception], meanwhile: Callable[[], Any] = lambda: None) -> None:
        super().__init__()
        self.answer: type[Exception] | None = answer
        self.meanwhile = meanwhile

    def put(self, key: str, body: bytes | Path, **options: Any) -> ObjectInfo:
        done = super().put(key, body, **options)
        if key == KEY and (answer := self.answer) is not None:
            self.answer = None
            self.meanwhile()
            if answer is StoreUnavailable:
                raise StoreUnavailable("the answer was lost", retry_after_s=5)
            raise PreconditionFailed("the second sending met the first", key=key)
        return done


def test_lost_answer_is_found_by_the_commit_id() -> None:
    store = LossyObjects(PreconditionFailed)
    manifest = put(store, "a")
    assert (manifest.version, PartitionedTable(store, TABLE).read()) == (1, manifest)


def test_lost_answer_behind_which_another_writer_came_makes_no_second_version() -> None:
    store = LossyObjects(PreconditionFailed)
    store.meanwhile = lambda: put(store, "b")
    manifest = put(store, "a")
    assert (manifest.version, set(manifest.partitions)) == (2, {"a", "b"})
    assert set(PartitionedTable(store, TABLE).read_version(1).partitions) == {"a"}


def test_store_that_goes_away_in_the_middle_leaves_a_whole_version() -> None:
    store = LossyObjects(StoreUnavailable)
    with pytest.raises(StoreUnavailable):
        put(store, "a")
    assert put(store, "a").version == 1  # it had been committed
    assert put(store, "b").version == 2
    assert set(PartitionedTable(store, TABLE).read_version(1).partitions) == {"a"}


def test_writers_that_keep_winning_are_told(objects: S3ObjectStore) -> None:
    with pytest.raises(Unavailable, match="kept winning"):
        PartitionedTable(objects, TABLE, deadline_s=0).commit(lambda _: {"a": partition("a")})


def test_clock_that_goes_back_makes_no_earlier_version() -> None:
    store = MemoryObjects()
    clock = iter([MOMENT, MOMENT - timedelta(hours=1)])
    for label in "ab":
        made = PartitionedTable(store, TABLE, clock=lambda: next(clock)).commit(
            lambda _, name=label: {name: partition(name)}  # type: ignore[misc]
        )
        assert made.updated_at == MOMENT


def manifest() -> TableManifest:
    whole = partition("b", **{"in": 3, "new": 2, "corrected": 0, "duplicate": 1, "quarantined": 0, "out": 2})
    return TableManifest(TABLE, 7, "0198c0de-0000-7000-8000-000000000001", MOMENT, {"a": Partition("f"), "b": whole})


def test_stored_form_is_the_golden_one() -> None:
    golden = GOLDEN.read_bytes()
    assert manifest().to_json() + b"\n" == golden
    assert TableManifest.from_json(golden, key=KEY) == manifest()


def _without(name: str) -> Callable[[bytes], bytes]:
    return lambda body: orjson.dumps({k: v for k, v in orjson.loads(body).items() if k != name})


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: b"",
        lambda body: body[: len(body) // 2],
        lambda body: b"[]",
        lambda body: b"null",
        lambda body: body.replace(b'"version":7', b'"version":"seven"'),
        lambda body: body.replace(b'"format_version":1', b'"format_version":2'),
        lambda body: body.replace(b'"files":[]', b'"files":[{}]'),
        lambda body: body.replace(b'"files":[]', b'"files":null'),
        lambda body: body.replace(b'"2026-03-04T05:06:07.000089Z"', b'"2026-03-04"'),
        _without("partitions"),
        _without("commit_id"),
    ],
)
def test_damaged_manifest_is_told_by_its_key_and_nothing_is_written_over_it(damage: Callable[[bytes], bytes]) -> None:
    store = MemoryObjects()
    body = damage(manifest().to_json())
    store.put(KEY, body)
    with pytest.raises(BrokenManifest, match=r"catalog/tables/evidence/audits\.json.*put the newest version"):
        PartitionedTable(store, TABLE).read()
    with pytest.raises(BrokenManifest):
        put(store, "a")
    assert store.get(KEY).body == body


def test_file_of_a_role_is_found() -> None:
    whole = manifest().partitions["b"]
    assert whole.file("evidence") == whole.files[0]
    assert replace(whole, files=()).file("evidence") is None
