"""Files that would break flat memory or linear time are refused or set aside, with a real conversion child."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from lakehouse.adapters.conversion import ConversionProcess
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.errors import InsufficientStorage, Unprocessable
from lakehouse.ingest import Ingester, IngestResult, make_options
from lakehouse.settings import load_settings
from tests.ingesting import IngestDesk

MIB = 1 << 20


@pytest.fixture
def desk(objects: S3ObjectStore, converter: ConversionProcess, tmp_path: Path) -> IngestDesk:
    return IngestDesk(objects, tmp_path, converter=converter)


@pytest.fixture
def small_desk(desk: IngestDesk) -> Iterator[Ingester]:
    """An `Ingester` whose conversions have 220 MiB, their Python and engine among them."""
    settings = load_settings({"LAKEHOUSE_DATA_DIR": str(desk.folder / "data")}, env_file=None)
    converter = ConversionProcess(settings, memory_bytes=220 * MIB)
    yield desk.ingester_with(converter)
    converter.close()


def set_aside(desk: IngestDesk, result: IngestResult) -> list[tuple[int, str]]:
    """Line and text of each record in the quarantine."""
    (key,) = result.quarantine_keys
    return [(r["line"], r["raw"]) for r in map(orjson.loads, desk.store.get(key).body.splitlines())]


def test_forty_thousand_rows_of_another_encoding_are_set_aside(desk: IngestDesk) -> None:
    body = "n,t\n" + "".join(f"{i},Müller\n" for i in range(40_000))
    result = desk.load(body.encode("latin-1"), on_error="quarantine")
    assert (result.manifest.row_count, result.quarantined) == (0, 40_000)
    assert set_aside(desk, result) == [(i + 2, f"{i},M\\xfcller") for i in range(40_000)]


def test_record_is_set_aside_as_it_came(desk: IngestDesk) -> None:
    raw = '"x,y",z,"w ""q"""'
    assert set_aside(desk, desk.load(f"a,b\n1,2\n{raw}\n", on_error="quarantine")) == [(3, raw)]


@pytest.mark.parametrize(
    ("head", "line", "reason"),
    [
        ("", 1, "a record of more than 16 million characters"),
        ("a,b\n1,2\n3,", 3, "a record of more than 16 million characters"),
        ('a,b\n1,2\n3,"', 3, "a quote is opened and never closed"),
        ('a,b\n1,2\n3,"unclosed\n4,x\n', 3, "a quote is opened and never closed"),
    ],
)
def test_file_without_line_ends_is_refused_with_its_line(
    desk: IngestDesk, small_desk: Ingester, head: str, line: int, reason: str
) -> None:
    source = desk.folder / "long.csv"
    source.write_text(head + "x" * (60 * MIB))
    with pytest.raises(Unprocessable) as refused:
        small_desk.ingest(source, "d", make_options(), actor="tester")
    assert (refused.value.fields["line"], refused.value.fields["reason"]) == (line, reason)
    assert desk.keys() == []


def test_long_record_is_set_aside_and_what_follows_is_loaded(desk: IngestDesk) -> None:
    body = "a,b\n1,2\n3," + "x" * (20 * MIB) + '\n5,"' + f"{'y' * 1000}\n" * 20_000 + '"\n7,8\n'
    result = desk.load(body, on_error="quarantine")
    assert desk.rows() == [(1, 2), (7, 8)]
    assert [(line, len(raw)) for line, raw in set_aside(desk, result)] == [(3, 65_536), (4, 65_536)]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["n" * 1_001], "column 1 has a name of more than 1,000 characters"),
        ([f"c{i}" for i in range(10_001)], "more than 10,000 columns; a record ends where its line ends"),
    ],
)
def test_header_that_no_table_can_have_is_refused(desk: IngestDesk, names: list[str], reason: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        desk.load(",".join(names) + "\n")
    assert (refused.value.fields["line"], refused.value.fields["reason"]) == (1, reason)


def test_long_line_of_json_is_refused_with_its_line_or_set_aside(desk: IngestDesk) -> None:
    body = b'{"a":1}\n\n{"a":"' + b"x" * (17 * MIB) + b'"}\n{"a":2}\n'
    with pytest.raises(Unprocessable) as refused:
        desk.load(body, file_name="d.jsonl")
    assert (refused.value.fields["line"], refused.value.fields["reason"]) == (3, "a line of more than 16 MiB")
    result = desk.load(body, file_name="d.jsonl", on_error="quarantine")
    assert (sorted(desk.column()), result.quarantined) == ([1, 2], 1)
    assert [(line, len(raw)) for line, raw in set_aside(desk, result)] == [(3, 65_536)]


def test_json_objects_without_a_field_of_the_other_are_refused_where_there_are_too_many(desk: IngestDesk) -> None:
    with pytest.raises(Unprocessable, match=r"line 10001: the objects have more than 10,000 fields"):
        desk.load("".join(f'{{"f{i}":1}}\n' for i in range(10_100)), file_name="d.jsonl")


def test_conversion_that_takes_more_memory_than_it_may_is_stopped(desk: IngestDesk, small_desk: Ingester) -> None:
    source = desk.folder / "dense.json"
    source.write_text('{"a":[' + "[]," * (4 * MIB) + "[]]}")
    with pytest.raises(InsufficientStorage, match="more than 220 MiB of memory"):
        small_desk.ingest(source, "d", make_options(file_name="d.json"), actor="tester")
    assert desk.keys() == []
