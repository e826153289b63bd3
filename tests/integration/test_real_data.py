"""Real files that nobody here wrote, through ingest: every row of a table, a line for what is none."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.errors import Unprocessable
from lakehouse.query.quoting import quote_name
from tests.ingesting import IngestDesk
from tests.servers import StoreServer

# Files that are no table as they stand: why, and the line that says so.
MALFORMED = {
    "csv/frictionless/accent.csv": (2, "2 fields where the header has 1"),  # semicolons
    "csv/frictionless/blank-headers.csv": (1, "column 2 has no name"),
    "csv/frictionless/capital-invalid.csv": (1, "column 3 is named 'name' like an earlier one"),
    "csv/frictionless/compression/implicit-gz.csv": (1, "a gzip file"),
    "csv/frictionless/compression/implicit-zip.csv": (1, "a ZIP archive"),
    "csv/frictionless/countries.csv": (2, "4 fields where the header has 1"),  # a comment above the header
    "csv/frictionless/defective-rows.csv": (2, "2 fields where the header has 3"),
    "csv/frictionless/duplicate-column.csv": (1, "column 3 is named 'B' like an earlier one"),
    "csv/frictionless/duplicate-headers.csv": (1, "column 3 is named 'id' like an earlier one"),
    "csv/frictionless/empty.csv": (1, "empty"),
    "csv/frictionless/invalid.csv": (1, "column 3 has no name"),
    "csv/frictionless/issue-1004-data1.csv": (3, "5 fields where the header has 4"),
    "csv/frictionless/issue-1004-data2.csv": (2, "2 fields where the header has 4"),
    "csv/frictionless/issue-1138.csv": (2, "text follows a closing quote"),  # backslash escapes
    "csv/frictionless/latin1.csv": (3, "bytes that are not utf-8"),
    "csv/frictionless/matrix-with-comment.csv": (2, "4 fields where the header has 1"),  # a comment above the header
    "csv/frictionless/schema-errors.csv": (5, "6 fields where the header has 3"),
    "csv/frictionless/skip-blank-at-the-end.csv": (2, "1 field where the header has 2"),
    "csv/frictionless/skip-rows-before-headers.csv": (2, "2 fields where the header has 1"),
    "csv/frictionless/skip-rows.csv": (2, "2 fields where the header has 1"),
    "csv/frictionless/structure-errors.csv": (5, "6 fields where the header has 3"),
    "csv/frictionless/table-infer-iso-8859-7.csv": (2, "bytes that are not utf-8"),
    "csv/frictionless/table-with-accents.csv": (1, "bytes that are not utf-8"),
    "csv/frictionless/without-headers-extra.csv": (3, "3 fields where the header has 2"),
    "drift/PRIME_FULL_EVAL.csv": (1, "column 1 has no name"),  # an index without a name
}
# Prose and placeholders among the tables.
NO_TABLES = {"LICENSE.txt", "NAB_LICENSE.txt", "Read Me.txt", ".js.txt"}


@pytest.fixture(scope="module")
def desk(store_process: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IngestDesk]:
    store: S3ObjectStore = store_process.objects(bucket="real-data")
    yield IngestDesk(store, tmp_path_factory.mktemp("real-data"), is_direct=True)
    store_process.drop_bucket("real-data")


def files(root: Path, *suffixes: str) -> dict[str, Path]:
    found = {str(p.relative_to(root)): p for p in sorted(root.rglob("*")) if p.suffix in suffixes}
    return {name: p for name, p in found.items() if p.name not in NO_TABLES and "test_parsing" not in p.parts}


def csv_rows(path: Path, delimiter: str) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return [row for row in csv.reader(stream, delimiter=delimiter, strict=True) if row][1:]


def loaded(desk: IngestDesk, path: Path, name: str = "d") -> list[tuple[str, ...]]:
    """The rows of a fresh dataset; a value that is no text is left out."""
    if desk.catalog.find(name):
        desk.catalog.delete(name)
    result = desk.load_file(path, name)
    shown = ", ".join(
        f"coalesce({quote_name(c.name)}, '')" if c.type == "VARCHAR" else "''" for c in result.manifest.columns
    )
    rows = duckdb.sql(f"SELECT {shown} FROM read_parquet({desk.files(result.manifest)})").fetchall()
    assert len(rows) == result.manifest.row_count
    return rows


def test_every_csv_is_loaded_whole_or_refused_with_its_line(desk: IngestDesk, shared_data: Path) -> None:
    refused = {}
    for name, path in files(shared_data, ".csv").items():
        try:
            rows = loaded(desk, path)
        except Unprocessable as error:
            refused[name] = (error.fields["line"], error.detail)
            continue
        expected = csv_rows(path, ",")
        assert len(rows) == len(expected), name
        kept = [
            tuple(b if a else "" for a, b in zip(mine, theirs, strict=True))
            for mine, theirs in zip(rows, expected, strict=True)
        ]
        assert rows == kept, name
    assert {name: line for name, (line, _) in refused.items()} == {name: line for name, (line, _) in MALFORMED.items()}
    assert [name for name, (_, detail) in refused.items() if MALFORMED[name][1] not in detail] == []


@pytest.mark.parametrize(
    ("name", "row_count"),
    [
        ("onet/Alternate Titles.txt", 52_754),
        ("onet/Occupation Data.txt", 1_016),
        ("onet/Related Occupations.txt", 18_460),
        ("onet/Sample of Reported Titles.txt", 7_541),
        ("onet/Task Statements.txt", 19_265),
        ("scifact/queries.tsv", 299),
        ("scifact/qrels.txt", 338),
        ("cranfield/cranqrel.trec.txt", 1_836),
    ],
)
def test_every_separated_text_is_loaded_whole(desk: IngestDesk, shared_data: Path, name: str, row_count: int) -> None:
    path = shared_data / name
    delimiter = " " if path.name == "cranqrel.trec.txt" else "\t"
    rows = loaded(desk, path)
    if delimiter == "\t":
        assert len(rows) == len(csv_rows(path, delimiter))
    assert len(rows) == row_count


def json_rows(path: Path) -> int:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return sum(1 for line in text.splitlines() if line.strip())
    document = json.loads(text)
    return len(document) if isinstance(document, list) else 1


def shape_of(value: object) -> object:
    """Names and types throughout, as text; of a list, those that occur in it."""
    if isinstance(value, dict):
        return str([(name, shape_of(value[name])) for name in sorted(value)])
    return str(sorted({str(shape_of(one)) for one in value})) if isinstance(value, list) else type(value).__name__


def json_files(root: Path) -> dict[str, Path]:
    """JSON files, of results of many agents one for each mixture of shapes.

    Such a result is one object, of up to 500 instances by name, whose shapes are three in all: with a cost, a verdict,
    or without one of them. The time is that of the 500 names.
    """
    found, seen = {}, set()
    for name, path in files(root, ".json", ".jsonl").items():
        if path.parent.name == "instance_results":
            results = json.loads(path.read_bytes())
            shape = path.name + str(shape_of(list(results.values()) if isinstance(results, dict) else results))
            if shape in seen:
                continue
            seen.add(shape)
        found[name] = path
    return found


def test_json_of_every_shape_is_loaded_whole(desk: IngestDesk, shared_data: Path) -> None:
    for name, path in json_files(shared_data).items():
        assert desk.load_file(path, evolve=True).manifest.row_count == json_rows(path), name


def test_json_that_must_not_parse_is_refused_and_the_rest_is_not_for_its_syntax(
    desk: IngestDesk, shared_data: Path
) -> None:
    wrong = []
    for path in sorted((shared_data / "json" / "test_parsing").iterdir()):
        if path.name[0] not in "ny":
            continue
        try:
            desk.load_file(path, "suite", evolve=True)
            is_syntax = False
        except Unprocessable as error:
            is_syntax = "is not JSON" in error.detail or "is empty" in error.detail
        if is_syntax != (path.name[0] == "n"):
            wrong.append(path.name)
    assert wrong == []


def test_codes_of_job_postings_stay_text(desk: IngestDesk, shared_data: Path) -> None:
    path = shared_data / "nyc_jobs" / "NYC_Jobs.csv"
    desk.load_file(path, "nyc")
    types = desk.types("nyc")
    rows = csv_rows(path, ",")
    assert "0527A" in {value for row in rows for value in row}
    for position, column in enumerate(types):
        values = {row[position] for row in rows}
        if any(len(v) > 1 and v[0] == "0" and v[1] not in "." for v in values):
            assert types[column] == "VARCHAR", column


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("csv/frictionless/accent.csv", {"delimiter": ";", "encoding": "utf-8"}),
        ("csv/frictionless/latin1.csv", {"encoding": "latin-1"}),
        ("csv/frictionless/table-infer-iso-8859-7.csv", {"encoding": "iso-8859-7"}),
        ("csv/frictionless/table-with-accents.csv", {"encoding": "latin-1", "delimiter": ";"}),
    ],
)
def test_stated_encoding_or_delimiter_makes_a_refused_file_a_table(
    desk: IngestDesk, shared_data: Path, name: str, options: dict[str, str]
) -> None:
    if desk.catalog.find("stated"):
        desk.catalog.delete("stated")
    assert desk.load_file(shared_data / name, "stated", **options).manifest.row_count > 0


def test_good_records_of_a_malformed_file_are_loaded_and_the_others_counted(
    desk: IngestDesk, shared_data: Path
) -> None:
    result = desk.load_file(
        shared_data / "csv" / "frictionless" / "structure-errors.csv", "rest", on_error="quarantine"
    )
    assert (result.manifest.row_count, result.quarantined) == (3, 1)
