"""Any CSV a fuzzer writes is read as Python's `csv` module reads it, or refused with a line number."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import duckdb
from hypothesis import HealthCheck, example, given, settings
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
# The module's writer leaves a lone CR unquoted, which its reader then takes for a line end.
fields = st.sampled_from([f for f in FRAGMENTS if f not in ("\x00", "\r")])
records = st.lists(st.lists(fields, min_size=2, max_size=2), max_size=6)


def read_back(body: bytes, **options: object) -> list[list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.csv"
        source.write_bytes(body)
        work = Path(folder) / "work"
        work.mkdir()
        made = convert(ConversionRequest(source, work, IngestOptions(**options)), threads=1)  # type: ignore[arg-type]
        rows = duckdb.sql(f"FROM read_parquet('{made.parquet}')").fetchall()
        types = [c.type for c in made.columns]
    return [[as_text(value, type_) for value, type_ in zip(row, types, strict=True)] for row in rows]


def as_text(value: object, type_: str) -> str:
    if value is None:
        return ""
    return str(value).lower() if type_ == "BOOLEAN" else str(value)


def python_rows(text: str) -> list[list[str]]:
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


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example("a\n\n1\n")
@example('a,b\n"x"y,2\n')
@example('a,b\n1,"2\n3"\n\r\n4,5')
@example("a,b\n1,2,\n")
@example("a,b\n 1, 2\n")
@example('a,b\n1, "2"\n')
@example("a,b\r1,2\r")
@given(texts)
def test_any_text_is_read_as_python_reads_it_or_refused_with_its_line(text: str) -> None:
    body = ("a,b\n" + text).encode()
    refusal = None
    try:
        ours = read_back(body)
    except Unprocessable as error:
        refusal = error
    if refusal is not None:
        assert isinstance(refusal.fields.get("line"), int), refusal.detail
        try:
            rows = python_rows(body.decode())
        except csv.Error:
            return
        assert any(len(row) != len(rows[0]) for row in rows) or "\x00" in text or has_bad_header(rows[0])
        return
    theirs = python_rows(body.decode())[1:]
    assert len(ours) == len(theirs)
    assert all(equal(o, t) for mine, other in zip(ours, theirs, strict=True) for o, t in zip(mine, other, strict=True))


def has_bad_header(names: list[str]) -> bool:
    folded = [n.casefold() for n in names]
    return len(set(folded)) < len(folded) or any(not n.strip() or "\x1f" in n for n in names)


@settings(max_examples=60, deadline=None)
@given(records, st.sampled_from(["\n", "\r\n"]), st.sampled_from([",", "\t", ";"]))
def test_what_the_csv_module_writes_comes_back_value_by_value(rows: list[list[str]], end: str, delimiter: str) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator=end, delimiter=delimiter).writerows([["first", "second"], *rows])
    ours = read_back(stream.getvalue().encode(), delimiter=delimiter)
    assert len(ours) == len(rows)
    assert all(equal(o, t) for mine, other in zip(ours, rows, strict=True) for o, t in zip(mine, other, strict=True))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["1,2", "1", "1,2,3", '"x"y,2', "3,4", '"5","6"', "7,\x00"]), max_size=8))
def test_quarantine_loads_exactly_the_good_records(lines: list[str]) -> None:
    good = [line for line in lines if line in ("1,2", "3,4", '"5","6"')]
    body = ("a,b\n" + "\n".join(lines) + "\n").encode()
    assert len(read_back(body, on_error="quarantine")) == len(good)
