"""Writers that overtake each other: what one has committed meanwhile, the other neither lifts nor loses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.manifest import Manifest
from lakehouse.errors import Conflict, Unavailable
from lakehouse.ingest import IngestResult, make_options
from tests.ingesting import DirectConversion, IngestDesk, OvertakenConversion


@pytest.fixture
def desk(objects: S3ObjectStore, tmp_path: Path) -> IngestDesk:
    return IngestDesk(objects, tmp_path, is_direct=True)


def overtaken_load(desk: IngestDesk, body: str, meanwhile: Callable[[], object], **options: str) -> Manifest:
    """Load a body; another writer commits between its conversion and its commit."""
    path = desk.folder / "slow.csv"
    path.write_text(body)
    ingester = desk.ingester_with(OvertakenConversion(DirectConversion(), meanwhile))
    made = make_options(file_name=path.name, **options)  # type: ignore[arg-type]
    return ingester.ingest(path, "d", made, actor="slow").manifest


def overtaken_sync(desk: IngestDesk, meanwhile: Callable[[], object], *, evolve: bool = False) -> IngestResult:
    ingester = desk.ingester_with(OvertakenConversion(DirectConversion(), meanwhile))
    return ingester.sync_landing("d", actor="slow", evolve=evolve)


def land(desk: IngestDesk, name: str, body: str) -> None:
    desk.store.put(f"landing/d/{name}", body.encode())


def marked(manifest: Manifest) -> list[str]:
    return [c.name for c in manifest.columns if c.pii]


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_mark_made_while_a_file_was_read_stays(desk: IngestDesk, mode: str) -> None:
    desk.load("id,contact\n1,x\n")
    types = '{"contact": {"pii": true}}'
    last = overtaken_load(desk, "id,contact\n3,z\n", lambda: desk.load("id,contact\n2,y\n", types=types), mode=mode)
    assert (last.version, marked(last)) == (3, ["contact"])


def test_first_file_keeps_the_mark_of_one_that_came_before_it_after_all(desk: IngestDesk) -> None:
    types = '{"contact": {"pii": true}}'
    last = overtaken_load(desk, "id,contact\n3,z\n", lambda: desk.load("id,contact\n2,y\n", types=types))
    assert (last.version, marked(last)) == (2, ["contact"])


def test_landing_keeps_a_mark_made_while_its_files_were_read(desk: IngestDesk) -> None:
    land(desk, "a.csv", "id,contact\n1,x\n")
    desk.ingester.sync_landing("d", actor="sensor")
    land(desk, "b.csv", "id,contact\n2,y\n")
    types = '{"contact": {"pii": true}}'
    last = overtaken_sync(desk, lambda: desk.load("id,contact\n9,z\n", mode="append", types=types)).manifest
    assert (last.version, last.row_count, marked(last)) == (3, 3, ["contact"])


def test_landing_reads_its_files_again_by_columns_that_changed_meanwhile(desk: IngestDesk) -> None:
    land(desk, "a.csv", "id,n\n1,5\n")
    desk.ingester.sync_landing("d", actor="sensor")
    land(desk, "b.csv", "id,n\n2,007\n")
    with pytest.raises(Conflict, match="'007'"):
        desk.ingester.sync_landing("d", actor="sensor")
    land(desk, "b.csv", "id,n\n2,7\n")
    last = overtaken_sync(desk, lambda: desk.load("id,n\n9,x\n", mode="append", evolve=True)).manifest
    assert [(c.name, c.type) for c in last.columns] == [("id", "BIGINT"), ("n", "VARCHAR")]
    # Read as text, not as the number that it was registered as when the sync began.
    newest = next(o for o in last.objects if o.source_key == "landing/d/b.csv")
    assert newest.key.split("/")[2] == last.schema_fingerprint
    assert last.row_count == 3


def test_landing_that_evolves_keeps_a_column_that_came_meanwhile(desk: IngestDesk) -> None:
    land(desk, "a.csv", "id\n1\n")
    desk.ingester.sync_landing("d", actor="sensor")
    land(desk, "b.csv", "id,city\n2,Troy\n")
    late = "id,mail\n9,a@example.org\n"
    last = overtaken_sync(desk, lambda: desk.load(late, mode="append", evolve=True), evolve=True).manifest
    assert ([c.name for c in last.columns], marked(last)) == (["id", "mail", "city"], ["mail"])


def test_dataset_deleted_while_its_folder_was_read_comes_back_whole(desk: IngestDesk) -> None:
    land(desk, "a.csv", "id,t\n1,a\n")
    desk.ingester.sync_landing("d", actor="sensor")
    land(desk, "b.csv", "id,t\n2,b\n")
    last = overtaken_sync(desk, lambda: desk.catalog.delete("d")).manifest
    assert [o.source_key for o in last.objects] == ["landing/d/a.csv", "landing/d/b.csv"]


def test_columns_that_change_at_every_try_end_the_sync(desk: IngestDesk) -> None:
    land(desk, "a.csv", "id\n1\n")
    columns = iter("bcdefgh")

    class Restless:
        def convert(self, request: object) -> object:
            made = DirectConversion().convert(request)  # type: ignore[arg-type]
            desk.load(f"id,{next(columns)}\n9,x\n", mode="append", evolve=True)
            return made

    ingester = desk.ingester_with(Restless())  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match="columns of 'd' kept changing"):
        ingester.sync_landing("d", actor="slow", evolve=True)
