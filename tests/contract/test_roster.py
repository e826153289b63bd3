"""What a roster promises, on the real store with real datasets and on the fake; then what only the real one does."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.roster import StoredRoster
from lakehouse.adapters.roster_columns import BlockColumns, WorkerColumns
from lakehouse.catalog.snapshot import CatalogWatcher
from lakehouse.errors import StoreUnavailable, Unavailable
from lakehouse.validation.roster import BLOCK_COLUMNS, WORKER_COLUMNS, RosterSource, Worker
from tests.fakes.objects import MemoryObjects
from tests.fakes.roster import FakeRoster
from tests.ingesting import IngestDesk
from tests.memory_logs import wait_until

Rows = Sequence[Sequence[str]]
MARIA = ("1", "María Lopez", "Electrician", "Toledo", "OH", "active")
SAM = ("20", "Sam Hu", "Welder", "Akron", "OH", "inactive")
NOBODY = ("3", "", "", "", "", "")


class Desk(Protocol):
    """Loads datasets, and gives the source that sees them."""

    source: RosterSource

    def load(self, workers: Rows, blocks: Rows | None = None) -> None: ...


class FakeDesk:
    def __init__(self) -> None:
        self.source = FakeRoster()

    def load(self, workers: Rows, blocks: Rows | None = None) -> None:
        self.source.workers = {row[0]: Worker(*row[1:]) for row in workers}
        self.source.blocks = {(client.strip().lower(), worker) for client, worker in blocks or ()}


class StoredDesk:
    """Real datasets; the roster follows by its own thread."""

    def __init__(self, store: S3ObjectStore, folder: Path) -> None:
        self.desk = IngestDesk(store, folder, is_direct=True)
        self.watcher = CatalogWatcher(store, poll_s=0.05)
        self.source = StoredRoster(store, self.watcher)

    def load(self, workers: Rows, blocks: Rows | None = None, *, columns: Sequence[str] = WORKER_COLUMNS) -> None:
        self.desk.load(_csv(columns, workers), "workers", evolve=True)
        if blocks is not None:
            self.desk.load(_csv(BLOCK_COLUMNS, blocks), "client_blocks", evolve=True)
        self.catch_up()

    def catch_up(self) -> None:
        self.watcher.refresh()
        wait_until(lambda: self.source.is_loaded)


def _csv(columns: Sequence[str], rows: Rows) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([columns, *rows])
    return text.getvalue()


@pytest.fixture
def stored(objects: S3ObjectStore, tmp_path: Path) -> Iterator[StoredDesk]:
    desk = StoredDesk(objects, tmp_path)
    desk.watcher.start()
    desk.source.start()
    yield desk
    desk.source.stop()
    desk.watcher.stop()


@pytest.fixture(params=["fake", "stored"])
def desk(request: pytest.FixtureRequest) -> Desk:
    return FakeDesk() if request.param == "fake" else request.getfixturevalue("stored")  # type: ignore[no-any-return]


def test_without_workers_the_source_says_what_to_load(desk: Desk) -> None:
    if isinstance(desk, StoredDesk):
        desk.catch_up()
    with pytest.raises(Unavailable, match=r"no dataset 'workers'.*lakehouse ingest FILE --name workers"):
        desk.source.current()


def test_worker_is_found_by_the_id_as_text(desk: Desk) -> None:
    desk.load([MARIA, SAM, NOBODY])
    roster = desk.source.current()
    assert roster.is_current
    assert roster.find("1") == Worker(*MARIA[1:])
    assert roster.find("20") == Worker(*SAM[1:])
    assert roster.find("3") == Worker("", "", "", "", "")
    for other in ("2", "", "01", " 1", "1 ", "1.0", "+1", "-1", "１", "1e0", "9" * 400, "a", "\ud800", "1\x00"):
        assert roster.find(other) is None, other


def test_worker_is_found_by_an_id_of_letters(desk: Desk) -> None:
    rows = [(worker_id, *MARIA[1:]) for worker_id in ("w-2", "W-2", "w-10", "ä", "007", "7")]
    desk.load(rows)
    roster = desk.source.current()
    for worker_id, *rest in rows:
        assert roster.find(worker_id) == Worker(*rest)
    for other in ("w-1", "w-", "w-100", "", "ä ", "zz", "7.0"):
        assert roster.find(other) is None, other


def test_of_several_workers_with_an_id_the_last_counts(desk: Desk) -> None:
    desk.load([MARIA, SAM, ("1", *SAM[1:])])
    assert desk.source.current().find("1") == Worker(*SAM[1:])


def test_block_holds_for_its_client_alone_in_any_case(desk: Desk) -> None:
    desk.load([MARIA, SAM], [("C-0001", "1"), ("C-0002", "20")])
    roster = desk.source.current()
    assert roster.is_blocked("C-0001", "1")
    assert roster.is_blocked(" c-0001", "1")
    assert not roster.is_blocked("C-0002", "1")
    assert not roster.is_blocked("C-0001", "20")
    assert not roster.is_blocked("C-000", "11")
    assert not roster.is_blocked("", "")


def test_without_blocks_nobody_is_blocked(desk: Desk) -> None:
    desk.load([MARIA])
    assert not desk.source.current().is_blocked("C-0001", "1")


def test_new_version_is_seen(desk: Desk) -> None:
    desk.load([MARIA])
    desk.load([SAM], [("C-0001", "20")])
    roster = desk.source.current()
    assert roster.find("1") is None
    assert roster.is_blocked("C-0001", "20")


def test_roster_that_was_taken_stays_as_it_was(stored: StoredDesk) -> None:
    stored.load([MARIA])
    taken = stored.source.current()
    stored.load([SAM])
    assert taken.find("1") == Worker(*MARIA[1:])


def test_several_files_of_a_dataset_are_one_roster(stored: StoredDesk) -> None:
    stored.desk.load(_csv(WORKER_COLUMNS, [MARIA, ("4", *SAM[1:])]), "workers")
    stored.desk.load(_csv(WORKER_COLUMNS, [SAM, ("1", *SAM[1:])]), "workers", mode="append")
    stored.catch_up()
    roster = stored.source.current()
    assert roster.find("1") == Worker(*SAM[1:])
    assert roster.find("4") == roster.find("20") == Worker(*SAM[1:])


def test_deleted_workers_are_gone(stored: StoredDesk) -> None:
    stored.load([MARIA])
    stored.desk.catalog.delete("workers")
    stored.catch_up()
    with pytest.raises(Unavailable, match="no dataset 'workers'"):
        stored.source.current()


def test_empty_dataset_has_nobody(stored: StoredDesk) -> None:
    stored.load([], [])
    roster = stored.source.current()
    assert roster.find("1") is None
    assert not roster.is_blocked("C-0001", "1")


def test_dataset_without_the_columns_is_named(stored: StoredDesk) -> None:
    stored.load([("1", "OH")], columns=("worker_id", "state"))
    with pytest.raises(Unavailable, match=r"'workers'.*lacks name, role, city, status"):
        stored.source.current()
    stored.desk.load("client\nx\n", "client_blocks")
    stored.load([MARIA])
    with pytest.raises(Unavailable, match=r"'client_blocks'.*lacks client_id, worker_id"):
        stored.source.current()


def test_broken_manifest_is_named(stored: StoredDesk, objects: S3ObjectStore) -> None:
    stored.load([MARIA])
    objects.put("catalog/manifests/workers.json", b"{}")
    stored.catch_up()
    with pytest.raises(Unavailable, match=r"'workers'.*broken"):
        stored.source.current()


def test_damaged_file_is_an_error_and_not_the_end(stored: StoredDesk, objects: S3ObjectStore) -> None:
    stored.load([MARIA])
    stored.desk.load(_csv(WORKER_COLUMNS, [SAM, SAM]), "workers")
    data = stored.desk.catalog.get("workers").objects[0]
    objects.put(data.key, b"x" * data.size)
    stored.catch_up()
    with pytest.raises(Unavailable, match="cannot be read"):
        stored.source.current()
    stored.load([MARIA])
    assert stored.source.current().find("1") is not None


def test_other_columns_and_types_are_read_as_text(stored: StoredDesk) -> None:
    columns = (*WORKER_COLUMNS, "hourly_rate")
    stored.load(
        [("1", "7", "8", "9", "true", "2024-01-01", "2.5"), ("2", "5", "", "6", "false", "", "")], columns=columns
    )
    roster = stored.source.current()
    assert roster.find("1") == Worker("7", "8", "9", "true", "2024-01-01")
    assert roster.find("2") == Worker("5", "", "6", "false", "")


def test_store_that_is_away_leaves_the_roster_and_says_so(tmp_path: Path) -> None:
    store = MemoryObjects()
    desk = StoredDesk(store, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(StoreUnavailable):
        desk.source.current()  # nobody has looked yet
    desk.source.start()
    desk.load([MARIA])
    store.is_down = True
    with pytest.raises(StoreUnavailable):
        desk.watcher.refresh()
    roster = desk.source.current()
    assert not roster.is_current
    assert roster.find("1") == Worker(*MARIA[1:])
    store.is_down = False
    desk.load([SAM])
    assert desk.source.current().is_current
    desk.source.stop()


def test_memory_is_flat_per_row() -> None:
    rows = 200_000
    numbers = pa.array(range(rows), pa.int64())
    words = pa.array([f"Role {i % 50}" for i in range(rows)]).dictionary_encode()
    table = pa.table(
        [numbers, pa.array([f"Name {i}" for i in range(rows)]), words, words, words, words], names=list(WORKER_COLUMNS)
    )
    before = pa.total_allocated_bytes()
    columns = WorkerColumns(table)
    assert len(columns) == rows
    assert columns.find("199999") == Worker("Name 199999", *["Role 49"] * 4)
    assert pa.total_allocated_bytes() - before < 40 * rows
    blocks = BlockColumns(
        pa.table([pa.array(["C-1", None, "C-1"]), pa.array(["7", "7", None])], names=list(BLOCK_COLUMNS))
    )
    assert (len(blocks), blocks.has("c-1", "7")) == (1, True)


def test_only_the_columns_that_are_needed_are_fetched(tmp_path: Path) -> None:
    from lakehouse.adapters.object_file import ObjectFile

    path = tmp_path / "w.parquet"
    pq.write_table(pa.table({"a": ["x"] * 1000, "long": [f"{i}" * 1000 for i in range(1000)]}), path)
    store, fetched = MemoryObjects(), []
    store.put("k", path)

    class Counting(ObjectFile):
        def read(self, size: int = -1) -> bytes:
            data = super().read(size)
            fetched.append(len(data))
            return data

    with pq.ParquetFile(Counting(store, "k", path.stat().st_size), pre_buffer=True) as file:
        assert file.read(columns=["a"]).num_rows == 1000
    assert sum(fetched) < path.stat().st_size / 2
