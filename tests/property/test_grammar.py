"""The two checks of a value, in Python and in SQL, say the same of any text, for every type."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lakehouse.ingest.grammar import fits, sql_check

# The last are types that a dataset may have from a Parquet file.
ALL_TYPES = (
    "BOOLEAN", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP", "VARCHAR",
    "TINYINT", "SMALLINT", "INTEGER", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
    "DECIMAL(4,0)", "DECIMAL(18,2)", "DECIMAL(2,2)", "DECIMAL(38,10)", "FLOAT", "TIME", "TIMESTAMP_NS",
)  # fmt: skip
EDGES = [
    "2024-01-01 24:00", "2024-01-01 24:00:00", "0000-01-01 00:00", "0000-01-01 00:00:00", "0001-01-01 00:00:00",
    "0001-01-01 (BC) 00:00:00", "0001-01-01 (BC)", "12024-01-01 00:00:00", "9999-12-31T23:59:59.999999",
    "2024-02-29", "0001-01-01", "0000-01-01", "2024-02-29 00:00", "2023-02-29 00:00",
    "2024-01-01 00:60", "2024-01-01 00:00:60", "2024-01-01 00:00:00.",
    "2024-01-01 00:00:00.1234567", "2024-01-01 23:59:59.123456789", "2024-01-01  00:00", " 2024-01-01", "2024-01-01 ",
    "-0001-01-01", "99999-01-01", "2024-W01-1", "20240101", "infinity", "-infinity", "epoch", "today",
    "2024-01-01T00:00:00Z", "2024-01-01 00:00:00+00", "290309-12-22 00:00:00", "1677-09-21 00:12:43",
    "1677-09-21 00:12:43.145225", "1677-12-31 23:59:59.999999999", "1678-01-01 00:00:00",
    "2261-12-31 23:59:59.999999999",
    "2262-04-11 23:47:16.854775807", "2262-04-11 23:47:16.854775808", "2300-01-01 00:00:00",
    "24:00:00", "23:59:59", "23:59:60", "00:00", "00:00:00", "01:02:03.5", "01:02:03.50", "01:02:03.123456",
    "01:02:03.1234567", "1:02:03", "01:02:03+00", "01:02:03 AM",
    "0", "-0", "-0.0", "0.0", "00", "+1", "1_000", "1e3", "1E+3", "1e-400", "1e400", "-1e400", "1e38", "3.5e38", "1e39",
    "1e-50", "0e999", "0.0e-999", "9007199254740991", "9007199254740992", "9007199254740993", "-9007199254740992",
    "-9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
    "18446744073709551615", "18446744073709551616", "170141183460469231731687303715884105727", "127", "128", "-128",
    "-129", "255", "256", "0.1234567890123456", "0.12345678901234567", "0.123456789012345678", "9.99", "99.99", "0.99",
    "0.999", "1.00", "10000", "9999", ".5", "5.", "1.5", "1,5", "nan", "NaN", "inf", "Infinity", "1" * 400, "9" * 5000,
    "0." + "1" * 5000, "1e" + "9" * 5000, "true", "TRUE", "tRuE", "t", "yes", "truE ", "fal\u017fe", "\u0661", "١",
    "1\u00a0", "1\n", "true\n", "2024-01-01\n", "x", "'", "\\", "é", "\U0001f600", " ",
]  # fmt: skip
PATTERNS = [
    r"-?[0-9]{1,20}", r"[+-]?[0-9]{0,18}\.?[0-9]{0,18}([eE][+-]?[0-9]{1,3})?", r"-?0\.0{0,5}[1-9]{1,18}",
    r"[0-9]{4}-[01][0-9]-[0-3][0-9]",
    r"[0-9]{4}-[01][0-9]-[0-3][0-9][ T][0-2][0-9]:[0-6][0-9](:[0-6][0-9](\.[0-9]{0,9})?)?",
    r"[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,7})?", r"[tTfF][rRaA][uUlL][eEsS][eE]?",
]  # fmt: skip
texts = st.one_of(
    st.sampled_from(EDGES),
    *(st.from_regex(p, fullmatch=True) for p in PATTERNS),
    st.text(st.sampled_from("0123456789-+.:eET t()BC_, "), max_size=24),
).filter(bool)


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        yield connection


def judged(engine: duckdb.DuckDBPyConnection, values: list[str], type_: str) -> list[bool]:
    """What SQL says of each value."""
    if type_ == "VARCHAR":
        return [True for _ in values]
    condition = sql_check('"v"', type_)[1]
    sql = f"SELECT coalesce({condition}, false) FROM (SELECT unnest($1::VARCHAR[]) AS v)"
    return [bool(row[0]) for row in engine.execute(sql, [values]).fetchall()]


@pytest.mark.parametrize("type_", ALL_TYPES)
@settings(max_examples=15, deadline=None)
@example(EDGES)
@given(st.lists(texts, min_size=1, max_size=60))
def test_python_and_sql_take_the_same_values(engine: duckdb.DuckDBPyConnection, type_: str, values: list[str]) -> None:
    in_sql = judged(engine, values, type_)
    differing = [v[:60] for v, is_fit in zip(values, in_sql, strict=True) if fits(v, type_) != is_fit]
    assert differing == []


@pytest.mark.parametrize("type_", [t for t in ALL_TYPES if t.startswith(("DATE", "TIME"))])
def test_time_that_fits_reads_back_as_the_moment_it_was(engine: duckdb.DuckDBPyConnection, type_: str) -> None:
    taken = [v for v in EDGES if fits(v, type_)]
    assert taken
    value = sql_check('"v"', type_)[0]
    sql = f"SELECT v, CAST({value} AS VARCHAR) FROM (SELECT unnest($1::VARCHAR[]) AS v)"
    for written, read in engine.execute(sql, [taken]).fetchall():
        plain = written.replace("T", " ")
        assert read == plain or read.removesuffix(":00") == plain
