"""The exact scanner: what it refuses it keeps as it came, in one pass, without ever holding more than a record."""

from __future__ import annotations

import csv
import io
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.ingest.csv_lines import OPEN_QUOTE, TOO_LONG
from lakehouse.ingest.csv_record_end import Place, find_record_end
from lakehouse.ingest.csv_scanner import BadRecord, CsvScanner

_opened: list[str] | None = None


def _note_opening(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _opened is not None:
        _opened.append(str(arguments[0]))


sys.addaudithook(_note_opening)


@contextmanager
def opened_files() -> Iterator[list[str]]:
    """The paths that this process opens meanwhile."""
    global _opened
    _opened = []
    try:
        yield _opened
    finally:
        _opened = None


def scan(path: Path, body: bytes | str, **options: int) -> tuple[list[list[str]], list[BadRecord]]:
    """The good and the bad records of a body."""
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    good, bad = [], []
    for fields, refused in CsvScanner(path, ",", **options).records():  # type: ignore[arg-type]
        if refused is not None:
            bad.append(refused)
        elif fields is not None:
            good.append(fields)
    return good, bad


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b'"x,y",z,"w ""q"""', '"x,y",z,"w ""q"""'),
        (b'1, "2" ,3', '1, "2" ,3'),
        (b'"two\r\nlines",2,3', '"two\r\nlines",2,3'),
        (b"1,caf\xe9", "1,caf\\xe9"),
        ('é,"ü"'.encode() + b"\xff", 'é,"ü"\\xff'),
        (b"1,\x00\x002", "1,\x00\x002"),
        (b'"x"y,2', '"x"y,2'),
        (b'"a\nb"c,2', '"a\nb"c,2'),
        (b" ", " "),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_bad_record_is_kept_as_it_came(tmp_path: Path, raw: bytes, shown: str, end: bytes) -> None:
    good, bad = scan(tmp_path / "f.csv", end.join([b"a,b", b"1,2", raw, b"3,4", b""]))
    assert good == [["1", "2"], ["3", "4"]]
    assert [(b.record, b.line, b.raw) for b in bad] == [(2, 3, shown)]


def test_last_bad_record_needs_no_line_end(tmp_path: Path) -> None:
    assert [b.raw for b in scan(tmp_path / "f.csv", 'a,b\n"x",y,"z"')[1]] == ['"x",y,"z"']


@pytest.mark.parametrize(
    ("raw", "shown"), [(b"caf\xe9,\xfc", "caf\\xe9,\\xfc"), (b"\x00,x", "\x00,x"), (b'"x"y,z', '"x"y,z')]
)
def test_forty_thousand_bad_records_take_one_pass(tmp_path: Path, raw: bytes, shown: str) -> None:
    with opened_files() as opened:
        good, bad = scan(tmp_path / "f.csv", b"a,b\n" + (raw + b"\n") * 40_000)
    assert opened.count(str(tmp_path / "f.csv")) <= 3  # written, the header, the records
    assert good == []
    assert {b.raw for b in bad} == {shown}
    assert [b.line for b in bad] == list(range(2, 40_002))


def test_scan_goes_on_behind_the_line_that_opens_a_quote(tmp_path: Path) -> None:
    body = 'a,b\n1,2\n"é,3\n4,5\n"6,7\n\u00fc,9\n'
    with opened_files() as opened:
        good, bad = scan(tmp_path / "f.csv", "\ufeff" + body.replace('"6', "6"))
    assert good == [["1", "2"], ["4", "5"], ["6", "7"], ["ü", "9"]]
    assert [(b.record, b.line, b.raw, b.reason) for b in bad] == [(2, 3, '"é,3', OPEN_QUOTE)]
    assert len(opened) == 4


def test_bytes_of_another_encoding_behind_an_open_quote_are_a_record_of_their_own(tmp_path: Path) -> None:
    good, bad = scan(tmp_path / "f.csv", b'a,b\n1,"2\n3,4\ncaf\xe9,5\n6,7\n')
    assert good == [["3", "4"], ["6", "7"]]
    assert [(b.line, b.raw) for b in bad] == [(2, '1,"2'), (4, "caf\\xe9,5")]


@pytest.mark.parametrize(
    ("long", "reason", "raw"),
    [
        ("1,xxxxxxxxxxxxxxxxxxxx", TOO_LONG, "1,xxxxxxxxxxxxxxxxxxx"),
        ('1,"x\n2,3\n""4"",5\nxxxxxxxxxxxxxxx"', TOO_LONG, '1,"x\n2,3\n""4"",5\nxxx'),
        ('1,"x\n,\n,\n,\n,\n,\n,\n,\n,"', TOO_LONG, '1,"x\n,\n,\n,\n,\n,\n,\n,\n,'),
        ('"5"" pipe, ""long""",xxxxxxxx', TOO_LONG, '"5"" pipe, ""long""",'),
        ('5" pipe with a quote,xxxxxxx', TOO_LONG, '5" pipe with a quote,'),
        ('1,"xxxxxxxxxxxxxxxxxxxxxxxxx', OPEN_QUOTE, '1,"xxxxxxxxxxxxxxxxxx'),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_record_that_is_too_long_is_passed_over(tmp_path: Path, long: str, reason: str, raw: str, end: str) -> None:
    good, bad = scan(tmp_path / "f.csv", f"a,b\n1,2\n{long}{end}3,4\n5,6,7\n", most_chars=20)
    assert good == [["1", "2"], ["3", "4"]]
    assert (bad[0].reason, bad[0].line) == (reason, 3)
    assert bad[0].raw.startswith(raw[:20])
    assert bad[1].line == 5 + long.count("\n")


def test_header_that_is_too_long_is_refused_and_not_held(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("a," * 40_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(Exception, match=f"line 1.*{TOO_LONG}"):
            CsvScanner(path, ",").header()
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 100 << 20


FRAGMENTS = ['"', '""', ",", "\n", "\r\n", "\r", "x", "yy", "é", "zzzzzzz"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join), st.integers(3, 12))
def test_records_up_to_the_bound_are_those_of_a_reader_without_one(
    tmp_path_factory: pytest.TempPathFactory, text: str, most_chars: int
) -> None:
    lines = io.StringIO("a\n" + text, newline="")
    expected: list[list[str] | None] = []
    reader = csv.reader(lines, strict=True)
    next(reader)
    place = lines.tell()
    try:
        for fields in reader:
            chars, place = lines.tell() - place, lines.tell()
            if fields or chars > most_chars:
                expected.append(fields if chars <= most_chars else None)
    except csv.Error:
        return  # what else is wrong may be met only behind the bound
    path = tmp_path_factory.mktemp("bound") / "f.csv"
    path.write_text("a\n" + text, newline="")
    found = [
        fields if bad is None else (None if bad.reason == TOO_LONG else bad.raw)
        for fields, bad in CsvScanner(path, ",", most_chars=most_chars).records()
    ]
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == theirs or (theirs is not None and len(theirs) != 1)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join), st.integers(1, 5), st.booleans())
def test_end_of_a_record_is_the_same_in_blocks_of_any_size(text: str, block_bytes: int, is_open: bool) -> None:
    stream = io.BytesIO(text.encode())
    whole = find_record_end(stream, Place(), ",", is_open=is_open)
    assert find_record_end(stream, Place(), ",", is_open=is_open, block_bytes=block_bytes) == whole
    read = text.encode()[: whole.record.offset]
    assert whole.record.line == len(read.splitlines()) - (not read.endswith((b"\n", b"\r")) and bool(read))
