"""A backup of tables and configs while they are written: what is restored is whole, and can be written again."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lakehouse.adapters.evidence_lake import INDEX_TABLE, add_relations, open_lake
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.objects import S3Location, S3ObjectStore
from lakehouse.catalog.partitioned import PartitionedTable, TableManifest
from lakehouse.catalog.table_gc import VERSION_KEY, files_of
from lakehouse.clock import utc_now
from lakehouse.errors import Conflict
from lakehouse.operations.backup import back_up
from lakehouse.operations.restore import restore
from lakehouse.retrieval.config_store import ConfigStore
from lakehouse.storage.objects import list_all
from lakehouse.tables.corpus import corpus_schema
from tests.evidence_lake import DAY, line, make, put_raw, refresh, served
from tests.lance_rows import DIMENSION, corpus_rows, ids_of
from tests.servers import StoreServer

Write = Callable[[], None]


class BusyStore(S3ObjectStore):
    """A bucket in which somebody writes before a copy of an object begins; it ends after some writes."""

    def __init__(self, location: S3Location, write: Write, *, every: int) -> None:
        super().__init__(location)
        self._write = write
        self._every = every
        self._opened = 0

    @contextmanager
    def open(self, key: str, **given: object) -> Iterator[object]:  # type: ignore[override]
        self._opened += 1
        if self._opened % self._every == 0 and self._opened < 60:
            self._write()
        with super().open(key, **given) as reader:  # type: ignore[arg-type]
            yield reader


@pytest.fixture
def empty(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    """A second bucket of the real server, for restoring into."""
    store = store_process.objects(bucket="restored-tables")
    yield store
    store_process.drop_bucket(store.bucket)


@pytest.mark.parametrize("every", [1, 2])
def test_table_written_meanwhile_is_restored_as_one_revision_and_takes_writes(
    objects: S3ObjectStore, empty: S3ObjectStore, tmp_path: Path, every: int
) -> None:
    table = LanceTables(objects.location, objects).create("people", corpus_schema(DIMENSION), info={})
    table.upsert(corpus_rows(["a", "b"]))
    revisions = {table.live.revision: ids_of(table)}
    numbers = itertools.count(1)

    def write() -> None:
        """Three ids come, one goes: data files, deletion files and versions."""
        n = next(numbers)
        table.upsert(corpus_rows([f"x{n}", f"y{n}", f"z{n}"]))
        revisions[table.live.revision] = ids_of(table)
        table.delete([f"y{n}"])
        revisions[table.live.revision] = ids_of(table)

    back_up(BusyStore(objects.location, write, every=every), tmp_path / "backup", now=utc_now())
    assert len(revisions) > 5
    restore(empty, tmp_path / "backup")
    restored = LanceTables(empty.location, empty).open("people")
    assert restored is not None
    before = ids_of(restored)
    assert before == revisions[restored.live.revision]
    restored.delete([before[0]])
    restored.upsert(corpus_rows(["new"]))
    assert "new" in ids_of(restored)
    assert before[0] not in ids_of(restored)


def test_evidence_made_meanwhile_is_restored_whole_and_its_index_is_not_ahead_of_it(
    objects: S3ObjectStore, empty: S3ObjectStore, tmp_path: Path
) -> None:
    numbers = itertools.count(1)

    def write() -> None:
        """A line comes, its day is made, and the index: four manifests, five files."""
        n = next(numbers)
        if n < 12:
            put_raw(objects, f"part-{n:02}", line(f"r{n:02}"), line("same", second=n))
            make(objects, tmp_path, run=f"run-{n}")
            refresh(objects, tmp_path)

    write()
    write()
    back_up(BusyStore(objects.location, write, every=2), tmp_path / "backup", now=utc_now())
    assert next(numbers) > 6
    restore(empty, tmp_path / "backup")
    with open_lake(empty.location, tmp_path) as engine:
        add_relations(engine, empty.bucket, PartitionedTable(empty, INDEX_TABLE).read())
        [before] = engine.execute("SELECT count(*) FROM evidence").fetchall()[0]
        [statuses] = engine.execute("SELECT count(*) FILTER (status = 'serves') FROM evidence_index").fetchall()[0]
    day = PartitionedTable(empty, "evidence/outcomes").read().partitions[str(DAY)]
    assert before == statuses <= day.counts["out"]
    assert before >= 3
    # Each version that was kept can be read, and what came meanwhile is made of the raw lines that are in the cut.
    there = {info.key for info in list_all(empty, "")}
    for key in (key for key in there if VERSION_KEY.fullmatch(key)):
        assert there.issuperset(files_of(TableManifest.from_json(empty.get(key).body, key=key)))
    make(empty, tmp_path, run="after")
    lines = sum(empty.get(key).body.count(b"\n") for key in there if key.startswith("raw/"))
    assert len(served(empty, tmp_path)) == lines // 2 + 1


def test_table_whose_file_is_missing_is_no_backup(objects: S3ObjectStore, tmp_path: Path) -> None:
    put_raw(objects, "a", line("r1"))
    [result] = make(objects, tmp_path)
    assert result.partition is not None
    objects.delete(result.partition.files[0].key)
    with pytest.raises(Conflict, match=r"catalog/tables/evidence/outcomes\.json.*which is not in the bucket"):
        back_up(objects, tmp_path / "backup", now=utc_now())


def test_config_published_meanwhile_is_restored_with_the_version_that_serves(
    objects: S3ObjectStore, empty: S3ObjectStore, tmp_path: Path
) -> None:
    numbers = itertools.count(1)

    def write() -> None:
        ConfigStore(objects).publish("search", {"strong_min_score": next(numbers) / 1000}, by="ann")

    write()
    back_up(BusyStore(objects.location, write, every=1), tmp_path / "backup", now=utc_now())
    restore(empty, tmp_path / "backup")
    live = ConfigStore(empty).live("search")
    assert live.document["strong_min_score"] == live.version / 1000


def test_table_made_meanwhile_is_left_to_the_next_backup(
    objects: S3ObjectStore, empty: S3ObjectStore, tmp_path: Path
) -> None:
    objects.put("files/a", b"x")
    names = itertools.count(1)

    def write() -> None:
        LanceTables(objects.location, objects).create(f"t{next(names)}", corpus_schema(DIMENSION), info={})

    back_up(BusyStore(objects.location, write, every=1), tmp_path / "backup", now=utc_now())
    restore(empty, tmp_path / "backup")
    assert LanceTables(empty.location, empty).names() == []
    back_up(objects, tmp_path / "backup", now=utc_now())
    restore(empty, tmp_path / "backup", force=True)
    tables = LanceTables(empty.location, empty)
    assert tables.names() == LanceTables(objects.location, objects).names() != []
    assert all(ids_of(table) == [] for name in tables.names() if (table := tables.open(name)) is not None)
