"""Any CSV a fuzzer writes is read as Python's `csv` module reads it, or refused with a line number."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import duckdb
import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lakehouse.adapters.conversion_child import convert
from lakehouse.errors import Unprocessable
from lakehouse.ingest.conversion import ConversionRequest
from lakehouse.ingest.grammar import TYPES, fits
from lakehouse.ingest.options import IngestOptions

FRAGMENTS = [
    "a", "b", ",", ",", "\n", "\n", "\r\n", "\r", '"', '""', " ", "007", "1.5", "12", "true", "yes", "2024-01-02", "ä",
    "'", "\\", "\t", ";", "#", "\ufeff", "\x00", "NULL", "-0", "1e5", "99999999999999999999", "2024-01-02 03:04:05",
    "\x1f", "e", "-", ".5", "+1", "NaN", "\u2028", "\x85", "\x1c", "\x0b",
]  # fmt: skip
texts = st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join)
headers = st.one_of(st.just("a,b"), st.lists(st.sampled_from(FRAGMENTS), max_size=6).map("".join))
# The module's writer leaves a lone CR unquoted, which its reader then takes for a line end.
fields = st.sampled_from([f for f in FRAGMENTS if f not in ("\x00", "\r")])
records = st.lists(st.lists(fields, min_size=2, max_size=2), max_size=6)
usual_rows = st.sampled_from(["1,2\n", "1.5,true\n", "2024-01-02,2024-01-02 03:04:05\n", '"7","x"\n'])
# Types are tried on the first 1,000 records.
PAST_THE_SAMPLE = 1_001
GOOD_LINES = ["1,2", "3,4", '"5","6"', '"7\n8","say ""9"""']
BAD_LINES = ["1", "1,2,3", '"x"y,2', "7,\x00", '"x,y",z,"w ""q"""', '"two\r\nlines"', "caf\udce9,1"]


def read_back(body: bytes, **options: object) -> list[list[str]]:
    return convert_to_texts(body, **options)[1]


def convert_to_texts(body: bytes, **options: object) -> tuple[list[str], list[list[str]], list[str]]:
    """The names of the columns, the rows and the text of the records in the quarantine."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.csv"
        source.write_bytes(body)
        work = Path(folder) / "work"
        work.mkdir()
        made = convert(ConversionRequest(source, work, IngestOptions(**options)), threads=1)  # type: ignore[arg-type]
        rows = duckdb.sql(f"FROM read_parquet('{made.parquet}')").fetchall()
        types = [c.type for c in made.columns]
        refused = [] if made.quarantine is None else made.quarantine.read_bytes().splitlines()
    shown = [[as_text(value, type_) for value, type_ in zip(row, types, strict=True)] for row in rows]
    return [c.name for c in made.columns], shown, [orjson.loads(line)["raw"] for line in refused]


def as_text(value: object, type_: str) -> str:
    if value is None:
        return ""
    return str(value).lower() if type_ == "BOOLEAN" else str(value)


def python_rows(text: str) -> list[list[str]]:
    text = text.removeprefix("\ufeff")
    return [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]


def equal(ours: str, theirs: str) -> bool:
    if ours == theirs:
        return True
    return any(fits(theirs, t) and canonical(theirs, t) == ours for t in TYPES)


def canonical(value: str, type_: str) -> str:
    if type_ == "DOUBLE":
        return str(float(value))
    if type_ == "BOOLEAN":
        return value.lower()
    return value.replace("T", " ") if type_ == "TIMESTAMP" else value


@settings(max_examples=200, deadline=None)
@example("a,b", "", 0, "a\n\n1\n", "utf-8")
@example("a,b", "", 0, 'a,b\n"x"y,2\n', "utf-8")
@example("a,b", "", 0, 'a,b\n1,"2\n3"\n\r\n4,5', "utf-16")
@example("a,b", "", 0, "a,b\n1,2,\n", "utf-8")
@example("a,b", "", 0, ',,""', "utf-8")
@example("a,b", "1,2\n", PAST_THE_SAMPLE, '3,4,""\r\n', "utf-8")
@example("", "1,2\n", PAST_THE_SAMPLE, "", "utf-8")
@example("a,b", "", 0, "a,b\n 1, 2\n", "utf-8")
@example("a,b", "", 0, 'a,b\n1, "2"\n', "utf-16")
@example("a,b", "", 0, "a,b\r1,2\r", "utf-8")
@example("\ufeffa,b", "", 0, "1,2", "utf-16")
@example('"a\nb","c""d"', "1,2\n", PAST_THE_SAMPLE, "x,\n", "utf-8")
@given(headers, usual_rows, st.sampled_from([0, 0, PAST_THE_SAMPLE]), texts, st.sampled_from(["utf-8", "utf-16"]))
def test_any_text_is_read_as_python_reads_it_or_refused_with_its_line(
    header: str, usual: str, count: int, text: str, encoding: str
) -> None:
    body = f"{header}\n{usual * count}{text}"
    refusal = None
    try:
        names, ours, _ = convert_to_texts(body.encode(encoding), encoding=encoding)
    except Unprocessable as error:
        refusal = error
    if refusal is not None:
        assert isinstance(refusal.fields.get("line"), int), refusal.detail
        assert is_refused_by_python(body)
        return
    theirs = python_rows(body)
    assert [names, len(ours)] == [theirs[0], len(theirs) - 1]
    pairs = zip(ours, theirs[1:], strict=True)
    assert all(equal(o, t) for mine, other in pairs for o, t in zip(mine, other, strict=True))


def is_refused_by_python(body: str) -> bool:
    try:
        rows = python_rows(body)
    except csv.Error:
        return True
    return not rows or "\x00" in body or any(len(row) != len(rows[0]) for row in rows) or has_bad_header(rows[0])


def has_bad_header(names: list[str]) -> bool:
    folded = [n.casefold() for n in names]
    return len(set(folded)) < len(folded) or any(not n.strip() or "\x1f" in n or len(n) > 1_000 for n in names)


@settings(max_examples=40, deadline=None)
@given(
    records,
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([",", "\t", ";"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32-be"]),
)
def test_what_the_csv_module_writes_comes_back_value_by_value(
    rows: list[list[str]], end: str, delimiter: str, encoding: str
) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator=end, delimiter=delimiter).writerows([["first", "second"], *rows])
    ours = read_back(stream.getvalue().encode(encoding), delimiter=delimiter, encoding=encoding)
    assert len(ours) == len(rows)
    assert all(equal(o, t) for mine, other in zip(ours, rows, strict=True) for o, t in zip(mine, other, strict=True))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([*GOOD_LINES, *BAD_LINES]), max_size=10), st.sampled_from(["\n", "\r\n"]))
def test_quarantine_loads_the_good_records_and_keeps_the_bad_ones_as_they_came(lines: list[str], end: str) -> None:
    body = end.join(["a,b", *lines, ""]).encode("utf-8", "surrogateescape")
    _, rows, refused = convert_to_texts(body, on_error="quarantine")
    good = python_rows("\n".join(line for line in lines if line in GOOD_LINES))
    assert len(rows) == len(good)
    assert all(equal(o, t) for mine, other in zip(rows, good, strict=True) for o, t in zip(mine, other, strict=True))
    assert refused == [line.replace("\udce9", "\\xe9") for line in lines if line in BAD_LINES]
