"""A landing folder and its dataset: the union of the files that lie there now."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.adapters.conversion import ConversionProcess
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.errors import BadInput, Conflict, NotFound, Unprocessable
from lakehouse.ingest import IngestResult
from lakehouse.ingest.landing import is_synced
from tests.ingesting import IngestDesk, OvertakenConversion


@pytest.fixture
def desk(objects: S3ObjectStore, converter: ConversionProcess, tmp_path: Path) -> IngestDesk:
    return IngestDesk(objects, tmp_path, converter=converter)


def put(desk: IngestDesk, name: str, body: str | bytes) -> None:
    desk.store.put(f"landing/d/{name}", body if isinstance(body, bytes) else body.encode())


def sync(desk: IngestDesk, *, evolve: bool = False) -> IngestResult:
    return desk.ingester.sync_landing("d", actor="sensor", evolve=evolve)


def test_dataset_is_the_union_of_the_folder_in_key_order(desk: IngestDesk) -> None:
    put(desk, "b.csv", "id,t\n2,b\n")
    put(desk, "a.csv", "id,t\n1,a\n")
    result = sync(desk)
    assert (result.manifest.version, result.manifest.row_count) == (1, 2)
    assert [o.source_key for o in result.manifest.objects] == ["landing/d/a.csv", "landing/d/b.csv"]
    assert desk.rows() == [(1, "a"), (2, "b")]


def test_second_look_at_the_same_folder_makes_no_version(desk: IngestDesk) -> None:
    put(desk, "a.csv", "id,t\n1,a\n")
    sync(desk)
    again = sync(desk)
    assert (again.existing, again.manifest.version) == (True, 1)


def test_new_bytes_under_a_key_replace_what_it_gave(desk: IngestDesk) -> None:
    put(desk, "a.csv", "id,t\n1,a\n")
    put(desk, "b.csv", "id,t\n2,b\n")
    sync(desk)
    put(desk, "a.csv", "id,t\n10,changed\n")
    assert sync(desk).manifest.version == 2
    assert desk.rows() == [(2, "b"), (10, "changed")]


def test_key_that_vanished_takes_its_rows_along(desk: IngestDesk) -> None:
    put(desk, "a.csv", "id,t\n1,a\n")
    put(desk, "b.csv", "id,t\n2,b\n")
    sync(desk)
    desk.store.delete("landing/d/a.csv")
    assert sync(desk).manifest.version == 2
    assert desk.rows() == [(2, "b")]
    desk.store.delete("landing/d/b.csv")
    emptied = sync(desk).manifest
    assert (emptied.version, emptied.row_count, emptied.objects) == (3, 0, ())


def test_types_hold_all_files_of_the_first_look(desk: IngestDesk) -> None:
    put(desk, "a.csv", "id,n\n1,5\n")
    put(desk, "b.csv", "id,n\n2,1.5\n")
    put(desk, "c.csv", "n,id\n,x3\n")
    sync(desk)
    assert desk.types() == {"id": "VARCHAR", "n": "DOUBLE"}
    assert desk.rows() == [("1", 5.0), ("2", 1.5), ("x3", None)]


def test_file_that_cannot_be_read_is_named_and_the_others_are_loaded(desk: IngestDesk) -> None:
    put(desk, "a.csv", "id,t\n1,a\n")
    put(desk, "bad.csv", "id,t\n1\n")
    with pytest.raises(Unprocessable, match=r"landing/d/bad\.csv: .*line 2.*The other files are loaded"):
        sync(desk)
    assert desk.rows() == [(1, "a")]
    put(desk, "bad.csv", "id,t\n2,b\n")
    assert sync(desk).manifest.version == 2
    assert desk.rows() == [(1, "a"), (2, "b")]


def test_file_that_does_not_fit_is_drift_until_it_is_accepted(desk: IngestDesk) -> None:
    put(desk, "a.csv", "id,t\n1,a\n")
    sync(desk)
    put(desk, "b.csv", "id,t\nx2,b\n")
    with pytest.raises(Conflict, match=r"landing/d/b\.csv.*'x2' at line 2"):
        sync(desk)
    assert desk.rows() == [(1, "a")]
    assert desk.catalog.get("d").version == 1
    sync(desk, evolve=True)
    assert desk.types() == {"id": "VARCHAR", "t": "VARCHAR"}
    assert desk.rows() == [("1", "a"), ("x2", "b")]
    assert desk.catalog.get("d").note == "evolve accepted by sensor"


def test_bad_replacement_leaves_the_rows_of_the_file_before_it(desk: IngestDesk) -> None:
    put(desk, "a.csv", "id,t\n1,a\n")
    sync(desk)
    put(desk, "a.csv", 'id,t\n1,"a\n')
    with pytest.raises(Unprocessable):
        sync(desk)
    assert desk.rows() == [(1, "a")]


def test_folder_with_bad_files_alone_registers_nothing(desk: IngestDesk) -> None:
    put(desk, "a.csv", "id,id\n1,2\n")
    with pytest.raises(Unprocessable, match="line 1"):
        sync(desk)
    assert desk.catalog.find("d") is None


def test_bad_file_that_was_taken_away_leaves_nothing_to_do(desk: IngestDesk) -> None:
    put(desk, "a.csv", "")
    assert not is_synced(desk.store, desk.catalog, "d")
    desk.store.delete("landing/d/a.csv")
    assert is_synced(desk.store, desk.catalog, "d")


def test_no_folder_and_no_dataset_is_not_found(desk: IngestDesk) -> None:
    with pytest.raises(NotFound, match="landing/d/"):
        sync(desk)
    with pytest.raises(BadInput):
        desk.ingester.sync_landing("Not-A-Name", actor="sensor")


def test_replace_of_a_dataset_that_landing_feeds_is_refused(desk: IngestDesk) -> None:
    put(desk, "a.csv", "id,t\n1,a\n")
    sync(desk)
    with pytest.raises(Conflict, match="landing/d/"):
        desk.load("id,t\n9,z\n")
    assert desk.rows() == [(1, "a")]


def test_appended_rows_stay_when_the_folder_changes(desk: IngestDesk) -> None:
    put(desk, "a.csv", "id,t\n1,a\n")
    sync(desk)
    desk.load("id,t\n9,z\n", mode="append")
    put(desk, "b.csv", "id,t\n2,b\n")
    sync(desk)
    assert desk.rows() == [(1, "a"), (2, "b"), (9, "z")]


def test_other_formats_land_by_their_suffix(desk: IngestDesk) -> None:
    put(desk, "a.tsv", "id\tt\n1\ta\n")
    put(desk, "b.jsonl", '{"id": 2, "t": "b"}\n')
    put(desk, "sub/c.csv", "id,t\n3,c\n")
    sync(desk)
    assert desk.rows() == [(1, "a"), (2, "b"), (3, "c")]


@pytest.mark.parametrize(
    "name",
    [
        ".a.csv", ".DS_Store", "._x.csv", "_SUCCESS", "_committed_17", "_started_17", "sub/_SUCCESS",
        "_temporary/0/x.csv", ".staging/x.csv", "sub/_options.json", "a.csv.part", "b.csv.partial",
        "c.csv.filepart", "d.csv.crdownload", "e.csv.tmp", "F.CSV.TMP", "g.csv~", "h.csv._COPYING_",
        "~$i.csv", "Thumbs.db",
    ],
)  # fmt: skip
def test_file_that_is_no_data_by_its_name_is_left_alone(desk: IngestDesk, name: str) -> None:
    put(desk, name, b"\x00\x01 no table")
    with pytest.raises(NotFound, match="landing/d/"):
        sync(desk)
    put(desk, "x_.part1.csv", "id,t\n1,a\n")
    assert sync(desk).manifest.row_count == 1
    assert is_synced(desk.store, desk.catalog, "d")
    assert desk.rows() == [(1, "a")]


def test_file_without_values_in_a_column_widens_nothing(desk: IngestDesk) -> None:
    put(desk, "a.csv", "id,n\n1,\n")
    put(desk, "b.csv", "id,n\n2,5\n")
    put(desk, "c.csv", "id,n\n3,\n")
    sync(desk)
    assert desk.types() == {"id": "BIGINT", "n": "BIGINT"}
    assert desk.rows(order="id") == [(1, None), (2, 5), (3, None)]


def test_options_beside_the_files_say_how_they_are_read(desk: IngestDesk) -> None:
    put(desk, "_options.json", '{"delimiter": ";", "encoding": "cp1252", "types": {"id": "VARCHAR"}}')
    put(desk, "a.csv", "id;t\n1;Müller\n".encode("cp1252"))
    assert sync(desk).manifest.row_count == 1
    assert desk.rows() == [("1", "Müller")]
    assert sync(desk).existing


def test_options_that_change_read_the_files_again(desk: IngestDesk) -> None:
    put(desk, "a.csv", "id,t\n1,a\n2\n3,c\n")
    with pytest.raises(Unprocessable, match="line 3"):
        sync(desk)
    put(desk, "_options.json", '{"on_error": "quarantine"}')
    result = sync(desk)
    assert (result.manifest.row_count, result.quarantined) == (2, 1)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a JSON object"),
        ('{"delimeter": ";"}', "unknown option 'delimeter'"),
        ('{"encoding": "klingon"}', "encoding 'klingon' is unknown"),
        ('{"types": {"id": "INT"}}', "must be one of"),
        ('{"delimiter": 5}', "_options.json"),
        ("[" * 3000, "is not JSON"),
        ('{"types": {"id": %s}}' % ("[" * 900 + "]" * 900), "_options.json"),
        ('{"delimiter": %s}' % ("[" * 900 + "]" * 900), "_options.json"),
    ],
)
def test_wrong_options_are_refused_by_name_and_nothing_changes(desk: IngestDesk, body: str, says: str) -> None:
    put(desk, "a.csv", "id,t\n1,a\n")
    sync(desk)
    put(desk, "_options.json", body)
    put(desk, "b.csv", "id,t\n2,b\n")
    with pytest.raises(Unprocessable, match=r"landing/d/_options\.json") as refused:
        sync(desk)
    assert says in refused.value.detail
    assert desk.rows() == [(1, "a")]


def test_file_that_is_read_again_keeps_its_refused_rows_once(desk: IngestDesk) -> None:
    put(desk, "_options.json", '{"on_error": "quarantine"}')
    put(desk, "a.csv", "id,t\n1,a\n2\n")

    def evolve_once() -> None:
        if desk.catalog.get("d").version == 1:
            desk.load("id,u\n5,x\n", mode="append", evolve=True)

    sync(desk)
    first = desk.keys("quarantine/")
    put(desk, "b.csv", "id,t\n3,c\n4\n")
    result = desk.ingester_with(OvertakenConversion(desk.converter, evolve_once)).sync_landing(
        "d", actor="sensor", evolve=True
    )
    assert (result.quarantined, len(desk.keys("quarantine/"))) == (1, 2)
    put(desk, "a.csv", "id,t\n1,changed\n2\n")  # other bytes: another row, of the same text
    sync(desk, evolve=True)
    assert len(desk.keys("quarantine/")) == 3
    assert set(first) < set(desk.keys("quarantine/"))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"id,t\n1\n", 'write {"on_error": "quarantine"} into landing/d/_options.json to load the good records'),
        (b"id,t\n1,M\xfcller\n", "state the files' encoding in landing/d/_options.json"),
        ("id,t\n1,a\n".encode("utf-16"), "state the files' encoding in landing/d/_options.json"),
        (b"id,u\n1,a\n", "materialize the dataset's partition with `evolve: true` in the run's config"),
    ],
)
def test_refusal_speaks_of_what_a_folder_has(desk: IngestDesk, body: bytes, says: str) -> None:
    put(desk, "a.csv", "id,t\n1,a\n")
    sync(desk)
    put(desk, "b.csv", body)
    with pytest.raises((Conflict, Unprocessable)) as refused:
        sync(desk)
    assert says in refused.value.detail
    assert "=quarantine" not in refused.value.detail
