"""Ingest against a dataset that is there: versions, repeats, drift, appends and writers at the same time."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from lakehouse.adapters.conversion import ConversionProcess
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.clock import utc_now
from lakehouse.errors import BadInput, Conflict, LakehouseError
from lakehouse.ingest import make_options
from tests.ingesting import IngestDesk

A, B = "id,city\n1,Ohio\n2,Iowa\n", "id,city\n3,Utah\n"


@pytest.fixture
def desk(objects: S3ObjectStore, converter: ConversionProcess, tmp_path: Path) -> IngestDesk:
    return IngestDesk(objects, tmp_path, converter=converter)


def test_replace_back_and_forth_makes_three_versions(desk: IngestDesk) -> None:
    assert [desk.load(body).manifest.version for body in (A, B, A)] == [1, 2, 3]
    assert desk.rows() == [(1, "Ohio"), (2, "Iowa")]
    assert desk.rows(version=2) == [(3, "Utah")]
    assert len(desk.keys("datasets/")) == 2


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_same_bytes_again_exist_already(desk: IngestDesk, mode: str) -> None:
    first = desk.load(A, mode=mode)
    again = desk.load(A, mode=mode)
    assert (first.existing, again.existing) == (False, True)
    assert again.manifest == first.manifest
    answer = again.answer()
    assert {k: answer[k] for k in ("name", "row_count", "objects", "version", "existing")} == {
        "name": "d", "row_count": 2, "objects": 1, "version": 1, "existing": True,
    }  # fmt: skip
    assert answer["bytes"] == sum(info.size for info in desk.store.list("datasets/").objects)


def test_same_bytes_with_other_options_are_read_again(desk: IngestDesk) -> None:
    desk.load("a;b,c\n1;2,3\n")
    second = desk.load("a;b,c\n1;2,3\n", delimiter=";", evolve=True)
    assert (second.existing, second.manifest.version) == (False, 2)
    assert desk.types() == {"a": "BIGINT", "b,c": "VARCHAR"}


def test_append_adds_objects_and_takes_a_file_twice_only_when_told(desk: IngestDesk) -> None:
    desk.load(A)
    assert desk.load(B, mode="append").manifest.row_count == 3
    assert desk.load(B, mode="append").existing
    twice = desk.load(B, mode="append", allow_duplicate=True)
    assert (twice.existing, twice.manifest.version, twice.manifest.row_count) == (False, 3, 4)
    assert desk.rows() == [(1, "Ohio"), (2, "Iowa"), (3, "Utah"), (3, "Utah")]


def test_replace_after_append_leaves_one_object(desk: IngestDesk) -> None:
    desk.load(A)
    desk.load(B, mode="append")
    third = desk.load(A)
    assert (third.manifest.version, len(third.manifest.objects), third.existing) == (3, 1, False)


def test_registered_types_hold_for_the_next_file(desk: IngestDesk) -> None:
    desk.load("id,code\n1,007\n")
    desk.load("code,id\n12,2\n", mode="append")
    assert desk.types() == {"id": "BIGINT", "code": "VARCHAR"}
    assert desk.rows() == [(1, "007"), (2, "12")]


def test_value_that_does_not_fit_is_drift_with_its_line_and_changes_nothing(desk: IngestDesk) -> None:
    desk.load('n,t\n1,"a"\n')
    before = desk.keys()
    with pytest.raises(Conflict) as caught:
        desk.load('t,n\n"two\nlines",2\n"x, y",n/a\nz,3\n')
    assert caught.value.fields["accept"] == "evolve=true"
    retyped = {"name": "n", "from": "BIGINT", "to": "VARCHAR", "value": "n/a", "line": 4}
    assert caught.value.fields["diff"] == {"added": [], "gone": [], "retyped": [retyped]}
    assert "'n' is registered as BIGINT and would be VARCHAR: 'n/a' at line 4" in caught.value.detail
    assert "evolve=true" in caught.value.detail
    assert desk.keys() == before
    assert desk.rows() == [(1, "a")]


def test_value_widens_to_double_in_the_diff_when_a_double_holds_all(desk: IngestDesk) -> None:
    desk.load("n,t\n1,a\n")
    with pytest.raises(Conflict) as caught:
        desk.load("n,t\n2,a\n2.5,b\n")
    assert caught.value.fields["diff"]["retyped"][0]["to"] == "DOUBLE"


def test_other_columns_are_drift_named_one_by_one(desk: IngestDesk) -> None:
    desk.load(A)
    with pytest.raises(Conflict, match=r"'state' is new; 'city' is gone") as caught:
        desk.load("id,state\n1,OH\n")
    diff = caught.value.fields["diff"]
    assert diff == {"added": [{"name": "state"}], "gone": [{"name": "city", "type": "VARCHAR"}], "retyped": []}
    assert desk.catalog.get("d").version == 1


def test_columns_that_differ_in_case_alone_are_no_way_around_a_mark(desk: IngestDesk) -> None:
    desk.load("id,email\n1,zed@secret.example\n")
    with pytest.raises(Conflict, match="'email' and 'EMAIL' differ only in upper and lower case"):
        desk.load("id,EMAIL\n2,q\n", mode="append", evolve=True)
    new = desk.load("id,EMAIL\n2,q\n", evolve=True).manifest
    assert [(c.name, c.pii) for c in new.columns] == [("id", False), ("EMAIL", True)]


@pytest.mark.parametrize("name", ["pg_sales", "duckdb_x", "sqlite_master", "information_schema", "pragma_x"])
def test_name_of_the_engines_own_tables_is_refused(desk: IngestDesk, name: str) -> None:
    with pytest.raises(BadInput, match="SQL engine's"):
        desk.load("a\n1\n", name)


def test_evolve_keeps_what_is_marked_personal(desk: IngestDesk) -> None:
    desk.load("id,note\n1,about ann\n", types='{"note": {"pii": true}}')
    new = desk.load("id,note,extra\n1,about ann,x\n", evolve=True).manifest
    assert [(c.name, c.pii) for c in new.columns] == [("id", False), ("note", True), ("extra", False)]


def test_evolve_replaces_the_columns_and_says_who_accepted(desk: IngestDesk) -> None:
    old = desk.load(A).manifest
    new = desk.load("id,state\nx1,OH\n", evolve=True).manifest
    assert desk.types() == {"id": "VARCHAR", "state": "VARCHAR"}
    assert (new.version, new.note, new.committed_by) == (2, "evolve accepted by tester", "tester")
    assert new.schema_fingerprint != old.schema_fingerprint
    assert new.objects[0].key.split("/")[2] == new.schema_fingerprint
    assert desk.catalog.get("d", version=1).columns == old.columns


def test_evolving_append_holds_rows_of_both_schemas(desk: IngestDesk) -> None:
    desk.load("id,n\n1,10\n")
    desk.load("id,n,extra\n2,1.5,x\n", mode="append", evolve=True)
    assert desk.types() == {"id": "BIGINT", "n": "DOUBLE", "extra": "VARCHAR"}
    assert desk.rows(order="id") == [(1, 10.0, None), (2, 1.5, "x")]


def test_evolving_append_of_narrower_values_keeps_the_wider_type(desk: IngestDesk) -> None:
    desk.load("id,n\n1,abc\n")
    desk.load("id,n\n2,7\n", mode="append", evolve=True)
    assert desk.types() == {"id": "BIGINT", "n": "VARCHAR"}
    assert desk.rows(order="id") == [(1, "abc"), (2, "7")]


def test_quarantine_takes_values_that_do_not_fit_the_registered_types(desk: IngestDesk) -> None:
    desk.load("n,t\n1,a\n")
    result = desk.load("n,t\n2,b\nx,c\n", mode="append", on_error="quarantine")
    assert (result.manifest.row_count, result.quarantined) == (2, 1)


def test_empty_file_for_a_dataset_keeps_its_types(desk: IngestDesk) -> None:
    desk.load("n,t\n1,a\n")
    assert desk.load("n,t\n").manifest.row_count == 0
    assert desk.types() == {"n": "BIGINT", "t": "VARCHAR"}


def test_marked_columns_stay_marked(desk: IngestDesk) -> None:
    desk.load("id,code\n1,a\n", types='{"code": {"pii": true}}')
    desk.load("id,code\n2,b\n")
    assert [c.pii for c in desk.catalog.get("d").columns] == [False, True]


def test_json_lines_may_leave_out_registered_fields(desk: IngestDesk) -> None:
    desk.load(b'{"a": 1, "b": "x"}\n', file_name="d.jsonl")
    desk.load(b'{"a": 2}\n', file_name="d.jsonl", mode="append")
    assert desk.rows(order="a") == [(1, "x"), (2, None)]
    with pytest.raises(Conflict, match="'c' is new"):
        desk.load(b'{"a": 3, "c": 1}\n', file_name="d.jsonl", mode="append")


def test_parquet_of_other_types_is_drift(desk: IngestDesk, tmp_path: Path) -> None:
    desk.load(A)
    path = tmp_path / "in.parquet"
    duckdb.sql(f"COPY (SELECT '1' AS id, 'Ohio' AS city) TO '{path}'")
    with pytest.raises(Conflict, match="'id' is registered as BIGINT and would be VARCHAR"):
        desk.load_file(path)
    duckdb.sql(f"COPY (SELECT 'Ohio' AS city, 9::BIGINT AS id) TO '{path}'")
    assert desk.load_file(path, mode="append").manifest.row_count == 3


def test_object_half_as_old_as_garbage_is_renewed_before_it_is_used_again(desk: IngestDesk) -> None:
    desk.load(A)
    desk.load(B)
    key = desk.catalog.get("d", version=1).objects[0].key
    first = desk.store.head(key)
    desk.now = utc_now() + timedelta(hours=13)
    desk.load(A)
    renewed = desk.store.head(key)
    assert first is not None
    assert renewed is not None
    assert renewed.modified_at >= first.modified_at
    assert len(desk.keys("datasets/")) == 2


def test_dataset_deleted_and_loaded_again_goes_on_counting(desk: IngestDesk) -> None:
    desk.load(A)
    desk.catalog.delete("d")
    again = desk.load(A)
    assert (again.manifest.version, again.existing) == (2, False)


def test_writers_at_the_same_time_lose_no_version_and_no_rows(desk: IngestDesk, tmp_path: Path) -> None:
    desk.load("id,t\n0,x\n")
    outcomes: list[str] = []
    sources = []
    for writer in range(4):
        sources.append(tmp_path / f"w{writer}.csv")
        sources[-1].write_text(f"id,t\n{writer + 1},x\n")
    start = threading.Barrier(4)

    def write(source: Path) -> None:
        options = make_options(file_name=source.name, mode="append")
        start.wait()
        try:
            desk.ingester.ingest(source, "d", options, actor=source.stem)
            outcomes.append("won")
        except LakehouseError as error:
            outcomes.append(f"{error.status}")

    threads = [threading.Thread(target=write, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == ["won"] * 4
    assert [m.version for m in desk.catalog.versions("d")] == [5, 4, 3, 2, 1]
    assert desk.rows() == [(0, "x"), (1, "x"), (2, "x"), (3, "x"), (4, "x")]


def test_first_writers_of_one_name_at_the_same_time_both_get_a_version(desk: IngestDesk, tmp_path: Path) -> None:
    bodies = ["id,t\n1,x\n", "id,t\n2,y\n"]
    results: list[int] = []
    start = threading.Barrier(2)

    def write(number: int) -> None:
        source = tmp_path / f"first{number}.csv"
        source.write_text(bodies[number])
        start.wait()
        done = desk.ingester.ingest(source, "d", make_options(file_name="a.csv"), actor=f"w{number}")
        results.append(done.manifest.version)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [1, 2]
    assert desk.rows(version=1) != desk.rows(version=2)


def test_column_without_values_widens_nothing(desk: IngestDesk) -> None:
    desk.load("id,n\n1,5\n")
    desk.load("id,n,extra\n2,,\n", mode="append", evolve=True)
    assert desk.types() == {"id": "BIGINT", "n": "BIGINT", "extra": "VARCHAR"}


def test_csv_for_columns_of_a_parquet_file_is_checked_by_their_types(desk: IngestDesk, tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    duckdb.sql(f"COPY (SELECT 1::INTEGER AS i, 1.5::DECIMAL(6,2) AS d, TIME '01:02:03' AS t) TO '{path}'")
    desk.load_file(path)
    desk.load("i,d,t\n2,7.25,04:05:06\n3,8,\n", mode="append")
    assert desk.catalog.get("d").row_count == 3
    for bad, value in (("1.5,1,", "1.5"), ("99999999999,1,", "99999999999"), ("1,1.555,", "1.555"), ("1,1,4:5", "4:5")):
        with pytest.raises(Conflict, match="at line 3 does not fit") as caught:
            desk.load(f"i,d,t\n2,7.25,\n{bad}\n", mode="append")
        assert caught.value.fields["diff"]["retyped"][0]["value"] == value
    quarantined = desk.load("i,d,t\n2,7.25,\n99999999999,1,\n2,12345.6,\n", mode="append", on_error="quarantine")
    assert quarantined.quarantined == 2


def test_json_value_that_does_not_fit_is_drift_with_its_line(desk: IngestDesk) -> None:
    desk.load("n,day\n1,2024-01-02\n")
    desk.load(b'{"n": 2, "day": "2024-01-03"}\n', file_name="d.jsonl", mode="append")
    assert desk.catalog.get("d").row_count == 2
    for bad, name, value in ((b'{"n": "x"}', "n", "x"), (b'{"n": 2, "day": "01/02/2024"}', "day", "01/02/2024")):
        with pytest.raises(Conflict) as caught:
            desk.load(b'{"n": 2}\n\n' + bad + b"\n", file_name="d.jsonl", mode="append")
        retyped = caught.value.fields["diff"]["retyped"][0]
        assert retyped == {"name": name, "from": desk.types()[name], "to": "VARCHAR", "value": value, "line": 3}
    with pytest.raises(Conflict) as caught:
        desk.load(b'{"n": 2.5}\n', file_name="d.jsonl", mode="append")
    assert caught.value.fields["diff"]["retyped"][0]["to"] == "DOUBLE"
