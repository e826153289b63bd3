"""Which type a CSV column takes: the grammar of values, through the real engine."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lakehouse.adapters.conversion_child import convert
from lakehouse.ingest.conversion import ConversionRequest
from lakehouse.ingest.options import IngestOptions

at = dt.datetime.fromisoformat


def csv_column(*values: str) -> str:
    """A CSV whose first column has these values."""
    return "v,other\n" + "".join(f"{value},x\n" for value in values)


@pytest.mark.parametrize(
    ("values", "type_", "loaded"),
    [
        (["1", "-5", "0", "9223372036854775807"], "BIGINT", [1, -5, 0, 9223372036854775807]),
        (["9223372036854775808"], "VARCHAR", ["9223372036854775808"]),
        (["1.5", "2", "-0.25", "1e3"], "DOUBLE", [1.5, 2.0, -0.25, 1000.0]),
        (["1", "1.5"], "DOUBLE", [1.0, 1.5]),
        (["9007199254740993", "1.5"], "VARCHAR", ["9007199254740993", "1.5"]),
        (["0.1234567890123456789"], "VARCHAR", ["0.1234567890123456789"]),
        (["1e999", "1"], "VARCHAR", ["1e999", "1"]),
        (["1e-999", "1"], "VARCHAR", ["1e-999", "1"]),
        (["NaN", "1.5"], "VARCHAR", ["NaN", "1.5"]),
        (["true", "FALSE", "True"], "BOOLEAN", [True, False, True]),
        (["yes", "no"], "VARCHAR", ["yes", "no"]),
        (["t", "f"], "VARCHAR", ["t", "f"]),
        (["1", "true"], "VARCHAR", ["1", "true"]),
        (["007", "012"], "VARCHAR", ["007", "012"]),
        (["1", "007"], "VARCHAR", ["1", "007"]),
        (["-0"], "VARCHAR", ["-0"]),
        (["+1"], "VARCHAR", ["+1"]),
        ([".5", "1.5"], "VARCHAR", [".5", "1.5"]),
        (["5.", "1.5"], "VARCHAR", ["5.", "1.5"]),
        (["-0", "1.5"], "VARCHAR", ["-0", "1.5"]),
        (["-0.0", "1.5"], "DOUBLE", [0.0, 1.5]),
        (["12345678901234567.5", "1.5"], "VARCHAR", ["12345678901234567.5", "1.5"]),
        (["1234567890123456.5", "0.1234567890123456"], "DOUBLE", [1234567890123456.5, 0.1234567890123456]),
        ([" 1"], "VARCHAR", [" 1"]),
        (["1_000"], "VARCHAR", ["1_000"]),
        (["555-0100", "555-0101"], "VARCHAR", ["555-0100", "555-0101"]),
        (["+14155550100"], "VARCHAR", ["+14155550100"]),
        (["(415) 555-0100"], "VARCHAR", ["(415) 555-0100"]),
        (["2024-01-02", "2024-02-29"], "DATE", [dt.date(2024, 1, 2), dt.date(2024, 2, 29)]),
        (["2023-02-29"], "VARCHAR", ["2023-02-29"]),
        (["01/02/2024"], "VARCHAR", ["01/02/2024"]),
        (["2024-1-2"], "VARCHAR", ["2024-1-2"]),
        (["20240102"], "BIGINT", [20240102]),
        (["2024-01-02 03:04:05"], "TIMESTAMP", [at('2024-01-02 03:04:05')]),
        (
            ["2024-01-02T03:04", "2024-01-02T03:04:05.25"],
            "TIMESTAMP",
            [at("2024-01-02 03:04:00"), at("2024-01-02 03:04:05.250")],
        ),
        (["2024-01-02", "2024-01-02 03:04:05"], "VARCHAR", ["2024-01-02", "2024-01-02 03:04:05"]),
        (["2024-01-02T03:04:05Z"], "VARCHAR", ["2024-01-02T03:04:05Z"]),
        (["2024-01-02T03:04:05+02:00"], "VARCHAR", ["2024-01-02T03:04:05+02:00"]),
        (["2024-01-02 24:00:00"], "VARCHAR", ["2024-01-02 24:00:00"]),
        (["2024-01-02 03:04:60"], "VARCHAR", ["2024-01-02 03:04:60"]),
        (["2024-01-02 03:04:05.1234567"], "VARCHAR", ["2024-01-02 03:04:05.1234567"]),
        (["infinity"], "VARCHAR", ["infinity"]),
        (["0001-01-01", "9999-12-31"], "DATE", [dt.date(1, 1, 1), dt.date(9999, 12, 31)]),
        (["0000-01-01"], "VARCHAR", ["0000-01-01"]),
        (["", "3", ""], "BIGINT", [None, 3, None]),
        (["", "2024-01-02"], "DATE", [None, dt.date(2024, 1, 2)]),
        (["", ""], "VARCHAR", [None, None]),
        (["NULL", "1"], "VARCHAR", ["NULL", "1"]),
        (['""', '"x"'], "VARCHAR", [None, "x"]),
        (['"1"', "2"], "BIGINT", [1, 2]),
    ],
)  # fmt: skip
def test_column_takes_the_narrowest_type_that_every_value_fits(
    tmp_path: Path, values: list[str], type_: str, loaded: list[Any]
) -> None:
    source = tmp_path / "in.csv"
    source.write_text(csv_column(*values))
    (tmp_path / "work").mkdir()
    made = convert(ConversionRequest(source, tmp_path / "work", IngestOptions()), threads=1)
    assert made.columns[0].type == type_
    assert made.row_count == len(values)
    assert [row[0] for row in duckdb.sql(f"FROM read_parquet('{made.parquet}')").fetchall()] == loaded


@pytest.mark.parametrize(
    ("usual", "late"),
    [
        ("2024-01-01 00:00", "2024-01-01 24:00"),
        ("2024-01-01 00:00:00", "2024-01-01T24:00:00"),
        ("2024-01-01 00:00", "0000-01-01 00:00"),
        ("2024-01-01 00:00:00", "0001-01-01 (BC) 00:00:00"),
        ("2024-01-01 00:00:00", "12024-01-01 00:00:00"),
        ("1.5", "9007199254740993"),
        ("1", "1" * 5000),
    ],
)
def test_late_value_that_would_be_altered_makes_the_column_text(tmp_path: Path, usual: str, late: str) -> None:
    source = tmp_path / "in.csv"
    source.write_text(csv_column(*[usual] * 2000, late))
    (tmp_path / "work").mkdir()
    made = convert(ConversionRequest(source, tmp_path / "work", IngestOptions()), threads=1)
    assert made.columns[0].type == "VARCHAR"
    rows = duckdb.sql(f"SELECT v, count(*) FROM read_parquet('{made.parquet}') GROUP BY v ORDER BY 2").fetchall()
    assert rows == [(late, 1), (usual, 2000)]


def test_number_of_thousands_of_digits_is_text(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text(csv_column("1", "9" * 5000))
    (tmp_path / "work").mkdir()
    made = convert(ConversionRequest(source, tmp_path / "work", IngestOptions()), threads=1)
    assert made.columns[0].type == "VARCHAR"
