"""What a file's values become, and what is refused: `Ingester` with a real conversion child on the real store."""

from __future__ import annotations

import datetime as dt
import gzip
import io
from decimal import Decimal
from pathlib import Path

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.adapters.conversion import ConversionProcess
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.errors import BadInput, Conflict, Unprocessable
from tests.ingesting import IngestDesk


@pytest.fixture
def desk(objects: S3ObjectStore, converter: ConversionProcess, tmp_path: Path) -> IngestDesk:
    return IngestDesk(objects, tmp_path, converter=converter)


@pytest.mark.parametrize(("late", "type_"), [("N/A", "VARCHAR"), ("1.5", "DOUBLE"), ("007", "VARCHAR")])
def test_late_value_widens_the_column_and_loses_nothing(desk: IngestDesk, late: str, type_: str) -> None:
    stream = io.StringIO()
    stream.write("id,amount\n")
    stream.writelines(f"{i},{i * 2}\n" for i in range(400_000))
    stream.write(f"400000,{late}\n400001,\n")
    result = desk.load(stream.getvalue())
    assert desk.types() == {"id": "BIGINT", "amount": type_}
    assert result.manifest.row_count == 400_002
    path = desk.files(result.manifest)[0]
    sums = (
        f"sum(id), sum(TRY_CAST(amount AS DOUBLE)) FILTER (id < 400000), max(amount) FILTER (id = 400000) FROM '{path}'"
    )
    expected = 1.5 if late == "1.5" else late
    assert duckdb.sql(f"SELECT {sums}").fetchone() == (sum(range(400_002)), float(399_999 * 400_000), expected)


def test_multi_line_fields_and_doubled_quotes_are_read_as_rfc_4180_says(desk: IngestDesk) -> None:
    desk.load('\ufeffname,note\r\n"Doe, Jane","line 1\r\nline 2"\r\n"say ""hi""",\r\n')
    assert desk.rows() == [("Doe, Jane", "line 1\r\nline 2"), ('say "hi"', None)]
    assert list(desk.types()) == ["name", "note"]


def test_file_with_a_header_alone_is_a_dataset_without_rows(desk: IngestDesk) -> None:
    assert desk.load("a,b\n").manifest.row_count == 0
    assert desk.types() == {"a": "VARCHAR", "b": "VARCHAR"}


def test_types_fix_columns_against_what_values_say(desk: IngestDesk) -> None:
    desk.load("zip,n,when\n12345,1,2024-01-02\n", types='{"zip": "VARCHAR", "n": "double", "when": {"pii": true}}')
    assert desk.types() == {"zip": "VARCHAR", "n": "DOUBLE", "when": "DATE"}
    assert [c.pii for c in desk.catalog.get("d").columns] == [False, False, True]
    assert desk.rows() == [("12345", 1.0, dt.date(2024, 1, 2))]


def test_every_type_comes_back_from_one_file(desk: IngestDesk) -> None:
    values = ["007", "1.5", "true", "555-0100", "2024-01-02", "2024-01-02 03:04:05", "2024-01-02T03:04:05Z", ""]
    desk.load("code,share,ok,phone,day,at,zoned,gap\n" + ",".join(values) + "\n")
    types = "VARCHAR DOUBLE BOOLEAN VARCHAR DATE TIMESTAMP VARCHAR VARCHAR"
    assert " ".join(desk.types().values()) == types
    at = dt.datetime.fromisoformat(values[5])
    assert desk.rows() == [("007", 1.5, True, "555-0100", dt.date(2024, 1, 2), at, values[6], None)]


def test_value_against_a_fixed_type_is_refused_with_its_line(desk: IngestDesk) -> None:
    with pytest.raises(Unprocessable, match=r"record 3, line 5.*'x'") as caught:
        desk.load('n,t\n1,"a\nb"\n2,b\nx,c\n', types='{"n": "BIGINT"}')
    assert (caught.value.fields["record"], caught.value.fields["line"]) == (3, 5)
    assert desk.keys() == []


@pytest.mark.parametrize(
    ("types", "says"),
    [
        ('{"zap": "VARCHAR"}', "'zap'"),
        ('{"n": "INTEGER"}', "BIGINT"),
        ("[1]", "JSON object"),
        ("{", "not JSON"),
        ('{"n": null, "x": {"pii": true}}', "'x'"),
    ],
)
def test_types_that_make_no_sense_are_refused_by_name(desk: IngestDesk, types: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        desk.load("n,m\n1,2\n", types=types)
    assert desk.keys() == []


@pytest.mark.parametrize(
    ("body", "line", "record", "reason"),
    [
        (b"", 1, 0, "empty"),
        (b"\xef\xbb\xbf", 1, 0, "empty"),
        (b"\n\n", 1, 0, "empty"),
        (b"a,b\n1,2\n3,caf\xe9\n", 3, 2, "not utf-8"),
        (b"a,b\n1,2\n3\n4,5\n", 3, 2, "1 field where the header has 2"),
        (b"a,b\n1,2\n3,4,5\n", 3, 2, "3 fields where the header has 2"),
        (b"a,b\n1,2\n3,4,\n", 3, 2, "3 fields where the header has 2"),
        (b'a,b\n"x\ny",2\n"3,4\n5,6\n', 4, 2, "a quote is opened and never closed"),
        (b'a,b\n1,2\n"x"y,4\n', 3, 2, "text follows a closing quote"),
        (b"a,b\n1,2\n3,\x004\n", 3, 2, "a NUL byte"),
        (b"a,a\n1,2\n", 1, 0, "column 2 is named 'a' like an earlier one"),
        (b"a,A\n1,2\n", 1, 0, "column 2 is named 'A' like an earlier one"),
        (b"a,\n1,2\n", 1, 0, "column 2 has no name"),
        (b"\na, \n1,2\n", 2, 0, "column 2 has no name"),
        (b"a,b\x00\n1,2\n", 1, 0, "a NUL byte"),
        (b'a,"b\n1,2\n', 1, 0, "a quote is opened and never closed"),
        (gzip.compress(b"a\n1\n", mtime=0), 1, 0, "a gzip file; unpack it first"),
        (b"PK\x03\x04", 1, 0, "a ZIP archive, as .xlsx"),
        (b"PAR1\x15\x04\x15", 1, 0, "a Parquet file; name it .parquet, or send format=parquet"),
        ("a,b\n1,2\n".encode("utf-16"), 1, 0, "state the encoding: utf-16"),
    ],
)
def test_bad_file_is_refused_with_record_and_line_and_nothing_is_registered(
    desk: IngestDesk, body: bytes, line: int, record: int, reason: str
) -> None:
    with pytest.raises(Unprocessable) as caught:
        desk.load(body)
    assert (caught.value.fields["line"], caught.value.fields["record"]) == (line, record)
    assert reason in caught.value.detail
    assert desk.keys() == []
    assert list((desk.folder / "work").iterdir()) == []


def test_bad_record_far_down_is_named_by_its_line(desk: IngestDesk) -> None:
    rows = [f'{i},"two\nlines"\n' for i in range(50_000)]
    rows[40_000] = "40000,a,b\n"
    with pytest.raises(Unprocessable) as caught:
        desk.load("n,t\n" + "".join(rows))
    assert (caught.value.fields["line"], caught.value.fields["record"]) == (80_002, 40_001)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("latin-1", "näme,o\ncafé,1\n".encode("latin-1")),
        ("cp1252", "näme,o\ncafé,1\n".encode("cp1252")),
        ("utf-16", "näme,o\ncafé,1\n".encode("utf-16")),
        ("utf-16-le", "näme,o\ncafé,1\n".encode("utf-16-le")),
        ("utf-8", "näme,o\ncafé,1\n".encode()),
        ("utf-8-sig", "\ufeffnäme,o\ncafé,1\n".encode()),
    ],
)
def test_stated_encoding_is_read(desk: IngestDesk, encoding: str, body: bytes) -> None:
    desk.load(body, encoding=encoding)
    assert desk.types() == {"näme": "VARCHAR", "o": "BIGINT"}
    assert desk.rows() == [("café", 1)]


@pytest.mark.parametrize(
    ("encoding", "body", "line"),
    [
        ("ascii", b"a,b\n1,2\n3,caf\xe9\n", 3),
        ("cp1252", b"a,b\n1,2\n3,\x81\n", 3),
        ("utf-16", "a,b\n1,2\n".encode("utf-16") + b"\x00\xd8", 3),
    ],
)
def test_file_in_another_encoding_is_refused_with_a_line(
    desk: IngestDesk, encoding: str, body: bytes, line: int
) -> None:
    with pytest.raises(Unprocessable) as caught:
        desk.load(body, encoding=encoding)
    assert caught.value.fields["line"] == line
    assert caught.value.fields["reason"] == f"bytes that are not {encoding}; state the file's encoding with encoding="
    assert desk.keys() == []


@pytest.mark.parametrize(
    ("file_name", "delimiter", "body"),
    [
        ("d.tsv", None, "a\tb\n1\tx,y\n"),
        ("d.txt", None, "a\tb\n1\tx,y\n"),
        ("d.csv", "tab", "a\tb\n1\tx,y\n"),
        ("d.csv", ";", 'a;b\n1;"x,y"\n'),
        ("d.csv", "|", "a|b\n1|x,y\n"),
        ("d.csv", "auto", "a;b\n1;x,y\n"),
        ("d.csv", "auto", 'a,b\n1,"x,y"\n'),
        ("d.csv", "auto", "a|b\n1|x,y\n"),
    ],
)
def test_delimiter_is_the_stated_or_sniffed_one(
    desk: IngestDesk, file_name: str, delimiter: str | None, body: str
) -> None:
    desk.load(body, file_name=file_name, delimiter=delimiter)
    assert desk.rows() == [(1, "x,y")]


@pytest.mark.parametrize("delimiter", ['"', "ab", "\n", "ä", ""])
def test_unusable_delimiter_is_refused(desk: IngestDesk, delimiter: str) -> None:
    with pytest.raises(BadInput, match="delimiter"):
        desk.load("a,b\n1,2\n", delimiter=delimiter)


def test_json_lines_are_rows_and_nested_values_are_json_text(desk: IngestDesk) -> None:
    lines = [
        {"n": 1, "f": 1.5, "b": True, "s": "007", "o": {"k": [1, 2]}, "m": 1},
        {"n": 2, "f": 2, "b": None, "s": "x", "m": "two"},
        {"n": 3, "late": "only here"},
    ]
    desk.load(b"\n".join(orjson.dumps(line) for line in lines) + b"\n", file_name="d.jsonl")
    types = {"n": "BIGINT", "f": "DOUBLE", "b": "BOOLEAN", "s": "VARCHAR", "o": "VARCHAR", "m": "VARCHAR"}
    assert desk.types() == {**types, "late": "VARCHAR"}
    assert desk.rows() == [
        (1, 1.5, True, "007", '{"k":[1,2]}', "1", None),
        (2, 2.0, None, "x", None, "two", None),
        (3, None, None, None, None, None, "only here"),
    ]


@pytest.mark.parametrize("body", [b'[{"a": 1}, {"a": 2}]', b' {"a": 1}\n'])
def test_json_document_is_an_array_of_objects_or_one(desk: IngestDesk, body: bytes) -> None:
    desk.load(body, file_name="d.json")
    assert desk.types() == {"a": "BIGINT"}
    assert [row[0] for row in desk.rows()] in ([1, 2], [1])


@pytest.mark.parametrize(
    ("file_name", "body", "field", "value"),
    [
        ("d.jsonl", b'{"a": 1}\n{"a": \n', "line", 2),
        ("d.jsonl", b'{"a": 1}\n\n[1]\n', "line", 3),
        ("d.jsonl", b'{"a": 1}\n{"A": 1}\n', "line", 1),
        ("d.json", b'[{"a": 1},\n {]', "line", 2),
        ("d.json", b'[{"a": 1}, 5]', "record", 2),
        ("d.jsonl", b"\n\n", "line", 1),
        ("d.json", b"[]", "line", 1),
    ],
)
def test_bad_json_is_refused_and_names_the_place(
    desk: IngestDesk, file_name: str, body: bytes, field: str, value: int
) -> None:
    with pytest.raises(Unprocessable) as caught:
        desk.load(body, file_name=file_name)
    assert caught.value.fields[field] == value
    assert desk.keys() == []


def test_parquet_keeps_its_types(desk: IngestDesk, tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    columns = "i::INTEGER AS small, 1.5::DECIMAL(9,2) AS money, [i, 2] AS list, '007' AS code"
    duckdb.sql(f"COPY (SELECT {columns} FROM range(3) t(i)) TO '{path}'")
    result = desk.load_file(path)
    assert desk.types() == {"small": "INTEGER", "money": "DECIMAL(9,2)", "list": "BIGINT[]", "code": "VARCHAR"}
    assert result.manifest.row_count == 3


@pytest.mark.parametrize("body", [b"PAR1 this is none PAR1", b"short", b"a,b\n1,2\n"])
def test_damaged_parquet_is_refused(desk: IngestDesk, body: bytes) -> None:
    with pytest.raises(Unprocessable, match="Parquet"):
        desk.load(body, file_name="d.parquet")
    assert desk.keys() == []


def test_parquet_without_columns_is_told_as_that(desk: IngestDesk, tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    pq.write_table(pa.table({}), path)
    with pytest.raises(Unprocessable, match="has no columns"):
        desk.load_file(path)
    assert desk.keys() == []


def test_quarantine_keeps_bad_records_as_they_came_and_loads_the_rest(desk: IngestDesk) -> None:
    body = 'n,t\n1,a\n2\n"x"y,b\n3,c,d\nfour,e\n5,f\n'
    result = desk.load(body, file_name="list.csv", on_error="quarantine", types='{"n": "BIGINT"}')
    assert (result.manifest.row_count, result.quarantined, len(result.quarantine_keys)) == (2, 4, 1)
    assert result.answer()["quarantined"] == 4
    assert desk.rows() == [(1, "a"), (5, "f")]
    assert result.quarantine_keys[0].startswith("quarantine/ingest/dt=")
    lines = [orjson.loads(line) for line in desk.store.get(result.quarantine_keys[0]).body.splitlines()]
    assert [(line["record"], line["line"], line["raw"]) for line in lines] == [
        (2, 3, "2"), (3, 4, '"x"y,b'), (4, 5, "3,c,d"), (5, 6, "four,e"),
    ]  # fmt: skip
    assert all(line["dataset"] == "d" and line["origin"] == "list.csv" and line["reason"] for line in lines)


def test_bad_values_of_types_from_parquet_go_to_quarantine_too(desk: IngestDesk, tmp_path: Path) -> None:
    columns = {
        "raw": pa.array([b"a\xff"]),
        "numbers": pa.array([[1, 2]]),
        "at": pa.array([dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)]),
    }
    pq.write_table(pa.table(columns), tmp_path / "p.parquet")
    desk.load_file(tmp_path / "p.parquet", "d")
    good = '\\x00b,"[3, 4]",2026-01-02 03:04:05+00\n'
    bad = [
        '\\xZZ,"[3, 4]",2026-01-02 03:04:05+00\n',
        'a,"[3, x]",2026-01-02 03:04:05+00\n',
        'a,"[3, 4]",2026-01-02 03:04:05+01\n',
    ]
    result = desk.load("raw,numbers,at\n" + good + "".join(bad), mode="append", on_error="quarantine")
    assert (result.manifest.row_count, result.quarantined) == (2, 3)
    lines = [orjson.loads(line) for line in desk.store.get(result.quarantine_keys[0]).body.splitlines()]
    assert [line["reason"] for line in lines] == [
        "column 1: '\\\\xZZ' is not a BLOB",
        "column 2: '[3, x]' is not a BIGINT[]",
        "column 3: '2026-01-02 03:04:05+01' is not a TIMESTAMP WITH TIME ZONE",
    ]
    with pytest.raises(Conflict, match="does not fit"):
        desk.load("raw,numbers,at\n" + good + bad[0], mode="append")


def test_file_that_is_tried_again_after_midnight_is_in_quarantine_once(desk: IngestDesk) -> None:
    options = {"on_error": "quarantine", "mode": "append", "allow_duplicate": True}
    desk.now = dt.datetime(2026, 1, 2, 23, 59, tzinfo=dt.UTC)
    before = desk.load("a,b\n1,2\n3\n", **options)
    desk.now += dt.timedelta(minutes=2)
    assert desk.load("a,b\n1,2\n3\n", **options).quarantine_keys == before.quarantine_keys
    assert len(desk.keys("quarantine/")) == 1
    desk.now += dt.timedelta(days=2)
    assert desk.load("a,b\n1,2\n3\n", **options).quarantine_keys != before.quarantine_keys


def test_quarantine_of_a_clean_file_writes_no_object(desk: IngestDesk) -> None:
    result = desk.load("a,b\n1,2\n", on_error="quarantine")
    assert (result.quarantined, result.quarantine_keys) == (0, ())
    assert desk.keys("quarantine/") == []


def test_json_lines_go_to_quarantine_one_by_one(desk: IngestDesk) -> None:
    result = desk.load(b'{"a": 1}\nnot json\n{"a": 2}\n', file_name="d.jsonl", on_error="quarantine")
    assert (result.manifest.row_count, result.quarantined) == (2, 1)


def test_personal_columns_are_marked(desk: IngestDesk) -> None:
    desk.load("id,email,phone,city\n1,a@example.org,415-555-0100,Ohio\n2,b@example.org,415-555-0101,Ohio\n")
    assert [c.name for c in desk.catalog.get("d").columns if c.pii] == ["email", "phone"]


def test_json_text_takes_a_fixed_type_or_is_refused_with_its_line(desk: IngestDesk) -> None:
    types = '{"day": "DATE", "n": "DOUBLE"}'
    desk.load(b'{"day": "2024-01-02", "n": 1}\n', file_name="d.jsonl", types=types)
    assert desk.rows() == [(dt.date(2024, 1, 2), 1.0)]
    with pytest.raises(Unprocessable, match=r"line 2: field 'day': '2024-13-02' is not a DATE"):
        desk.load(b'{"day": null}\n{"day": "2024-13-02", "n": 1}\n', "e", file_name="d.jsonl", types=types)
    assert desk.catalog.find("e") is None


@pytest.mark.parametrize("size", [200_000, 262_144, 2_000_000])
@pytest.mark.parametrize("quote", ["", '"'])
def test_field_of_megabytes_is_loaded(desk: IngestDesk, size: int, quote: str) -> None:
    desk.load(f"id,t\n1,short\n2,{quote}{'x' * size}{quote}\n3,short\n")
    assert [(i, len(t)) for i, t in desk.rows(order="id")] == [(1, 5), (2, size), (3, 5)]


def test_record_that_is_too_long_is_refused_with_its_line(desk: IngestDesk) -> None:
    with pytest.raises(Unprocessable, match="line 3: a record of more than 16 million characters"):
        desk.load(f"id,t\n1,short\n2,{'x' * 17_000_000}\n")
    assert desk.catalog.find("d") is None


def test_whole_numbers_beyond_64_bits_keep_their_digits_in_json(desk: IngestDesk) -> None:
    desk.load('{"a":123456789012345678901234567890}\n{"a":1}\n', file_name="d.jsonl")
    assert desk.types() == {"a": "VARCHAR"}
    assert sorted(desk.column()) == ["1", "123456789012345678901234567890"]
    desk.load('[{"a":123456789012345678901234567890}, {"a":1.5}]', "other", file_name="d.json")
    assert sorted(desk.column("other")) == ["1.5", "123456789012345678901234567890"]
    desk.load('{"a":1e300}\n', "large", file_name="d.jsonl")
    assert desk.types("large") == {"a": "DOUBLE"}


@pytest.mark.parametrize(
    ("file_name", "body", "line"),
    [("d.jsonl", '{"a":3}\n{"a":1,"a":2}\n[]\n', 2), ("d.json", '[{"a":3},\n{"\\u0061":1,"a":2},\n\n5]', 2)],
)
def test_object_with_a_repeated_key_is_refused_by_its_place_or_set_aside(
    desk: IngestDesk, file_name: str, body: str, line: int
) -> None:
    with pytest.raises(Unprocessable, match=f"record 2, line {line}: field 'a' stands in it twice"):
        desk.load(body.replace("[]\n", "").replace(",\n\n5", ""), file_name=file_name)
    result = desk.load(body, file_name=file_name, on_error="quarantine")
    lines = [orjson.loads(line) for line in desk.store.get(result.quarantine_keys[0]).body.splitlines()]
    assert [(bad["record"], bad["line"]) for bad in lines] == [(2, line), (3, line + 1 + (file_name == "d.json"))]
    assert desk.column() == [3]


def test_misfit_of_a_document_is_named_by_its_own_place(desk: IngestDesk) -> None:
    with pytest.raises(Unprocessable, match="record 3, line 2: field 'a': '1' is not a BIGINT"):
        desk.load('[5,6,\n{"a":"1"}]', file_name="d.json", on_error="quarantine", types='{"a": "BIGINT"}')


def test_refusal_of_a_repeated_key_names_no_path_of_the_host(desk: IngestDesk) -> None:
    with pytest.raises(Unprocessable) as refused:
        desk.load('{"a":1,"a":2}\n', file_name="d.jsonl")
    assert str(desk.folder) not in refused.value.detail


@pytest.mark.parametrize("width", [1_400, 4_000])
def test_thousands_of_columns_are_loaded(desk: IngestDesk, width: int) -> None:
    header = ",".join(f"c{n}" for n in range(width))
    row = ",".join(str(n) for n in range(width))
    manifest = desk.load(f"{header}\n" + f"{row}\n" * 20).manifest
    assert (len(manifest.columns), manifest.row_count) == (width, 20)


def test_decimal_that_sql_cannot_hold_is_refused(desk: IngestDesk, tmp_path: Path) -> None:
    wide = pa.table({"x": pa.array([Decimal(1)], pa.decimal256(60, 2))})
    pq.write_table(wide, tmp_path / "wide.parquet")
    with pytest.raises(Unprocessable, match=r"column 'x' is DECIMAL\(60"):
        desk.load_file(tmp_path / "wide.parquet")


@pytest.mark.parametrize("tail", ['""', ""])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_empty_field_too_many_is_refused(desk: IngestDesk, tail: str, end: str) -> None:
    body = end.join(["a,b", "1,2", f"1,2,{tail}"])
    for rest in ("", end, f"{end}3,4{end}"):
        with pytest.raises(Unprocessable, match="line 3: 3 fields where the header has 2"):
            desk.load(body + rest)


@pytest.mark.parametrize("blank", ["\n", "\n\n\n", "\r\n", "\ufeff\n", "\ufeff\r\n\r\n"])
@pytest.mark.parametrize("header", ["a,b", "1,2"])
def test_blank_lines_before_the_header_are_no_header(desk: IngestDesk, blank: str, header: str) -> None:
    desk.load(f"{blank}{header}\n3,4\n5,6\n")
    assert list(desk.types()) == header.split(",")
    assert desk.rows() == [(3, 4), (5, 6)]


def test_parquet_is_converted_in_a_folder_whose_name_has_a_quote(objects: S3ObjectStore, tmp_path: Path) -> None:
    folder = tmp_path / "o'brien"
    folder.mkdir()
    desk = IngestDesk(objects, folder, is_direct=True)
    stream = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2]}), stream)
    assert desk.load(stream.getvalue(), file_name="rows.parquet").manifest.row_count == 2


@pytest.mark.parametrize(
    ("element", "said"), [("null", "null"), ("3", "a number"), ("true", "true or false"), ("[]", "an array")]
)
def test_element_that_is_no_row_is_named_as_json_names_it(desk: IngestDesk, element: str, said: str) -> None:
    with pytest.raises(Unprocessable, match=f"record 2.*: {said}, where an object is needed"):
        desk.load(f'[{{"a": 1}}, {element}]', file_name="d.json")
