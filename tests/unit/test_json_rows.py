"""SQL values as JSON: the forms of CONTRACTS.md section 5, whatever the chunks are."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import InsufficientStorage
from lakehouse.query.json_rows import AnswerColumn, JsonRows
from lakehouse.query.json_values import column_values

ROOMY = 1 << 20


@pytest.mark.parametrize(
    ("type_name", "value", "form", "expected"),
    [
        ("BIGINT", 2**53, "number", 2**53),
        ("BIGINT", 2**53 + 1, "string", "9007199254740993"),
        ("BIGINT", -(2**63), "string", "-9223372036854775808"),
        ("UBIGINT", 2**64 - 1, "string", "18446744073709551615"),
        ("INTEGER", 7, "number", 7),
        ("HUGEINT", 1, "string", "1"),
        ("DECIMAL(10,2)", Decimal("1.50"), "string", "1.50"),
        ("DECIMAL(38,20)", Decimal("1E-20"), "string", "0.00000000000000000001"),
        ("DOUBLE", math.nan, "number", "NaN"),
        ("DOUBLE", math.inf, "number", "Infinity"),
        ("DOUBLE", -math.inf, "number", "-Infinity"),
        ("DOUBLE", 0.1, "number", 0.1),
        ("BOOLEAN", True, "boolean", True),
        ("VARCHAR", "ä", "string", "ä"),
        ("DATE", "2024-01-02", "string", "2024-01-02"),
        ("DATE", "infinity", "string", "infinity"),
        ("DATE", "0045-03-15 (BC)", "string", "-0044-03-15"),
        ("DATE", "12345-01-01", "string", "+12345-01-01"),
        ("TIME", "03:04:05.5", "string", "03:04:05.5"),
        ("TIMESTAMP", "2024-01-02 03:04:05", "string", "2024-01-02T03:04:05"),
        ("TIMESTAMP", "0045-03-15 (BC) 01:02:03", "string", "-0044-03-15T01:02:03"),
        ("TIMESTAMP_NS", "2024-01-02 03:04:05.123456789", "string", "2024-01-02T03:04:05.123456789"),
        ("TIMESTAMP WITH TIME ZONE", "2024-01-02 03:04:05+00", "string", "2024-01-02T03:04:05Z"),
        ("DATE[]", [date(2024, 1, 2)], "json", ["2024-01-02"]),
        ("STRUCT(a TIMESTAMPTZ)", {"a": datetime(2024, 1, 2, 3, tzinfo=UTC)}, "json", {"a": "2024-01-02T03:00:00Z"}),
        ("DECIMAL(2,1)[]", [Decimal("1.1")], "json", ["1.1"]),
        ("BLOB", b"\x00\xff", "string", "AP8="),
        ("INTERVAL", "1 month -01:00:00", "string", "1 month -01:00:00"),
        ("INTEGER[]", [1, None], "json", [1, None]),
        ("STRUCT(a DOUBLE)", {"a": math.nan}, "json", {"a": "NaN"}),
        ("MAP(INTEGER, BLOB)", {1: b"a"}, "json", {"1": "YQ=="}),
    ],
)
def test_value_has_its_json_form(type_name: str, value: Any, form: str, expected: Any) -> None:
    rows = JsonRows([AnswerColumn("x", type_name)], max_bytes=ROOMY)
    rows.add([(value,), (None,)])
    assert rows.columns() == [{"name": "x", "type": type_name, "json": form}]
    assert orjson.loads(rows.body()) == [[expected], [None]]


@given(chunks=st.lists(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), max_size=4), max_size=6))
def test_column_has_one_form_however_it_is_cut(chunks: list[list[int | None]]) -> None:
    rows = JsonRows([AnswerColumn("n", "BIGINT"), AnswerColumn("s", "VARCHAR")], max_bytes=ROOMY)
    for chunk in chunks:
        rows.add([(value, "x") for value in chunk])
    everything = [value for chunk in chunks for value in chunk]
    expected, form = column_values("BIGINT", everything)
    assert rows.columns()[0]["json"] == form
    assert orjson.loads(rows.body()) == [[value, "x"] for value in expected]
    assert rows.row_count == len(everything)


def test_answer_past_its_size_is_refused_with_the_way_out() -> None:
    rows = JsonRows([AnswerColumn("x", "VARCHAR")], max_bytes=1 << 20)
    for _ in range(10):
        rows.add([("x" * 100_000,)])
    with pytest.raises(InsufficientStorage, match="arrow"):
        rows.add([("x" * 100_000,)])
