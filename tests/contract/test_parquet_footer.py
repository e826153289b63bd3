"""The footer's types are those that DuckDB shows for the same file."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.adapters.parquet_footer import read_footer
from lakehouse.errors import Unprocessable

MOMENT = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
ARRAYS = {
    "bool": pa.array([True]),
    **{f"int{bits}": pa.array([1], type_) for bits, type_ in (
        (8, pa.int8()), (16, pa.int16()), (32, pa.int32()), (64, pa.int64()),
    )},
    **{f"uint{bits}": pa.array([1], type_) for bits, type_ in (
        (8, pa.uint8()), (16, pa.uint16()), (32, pa.uint32()), (64, pa.uint64()),
    )},
    "float": pa.array([1.5], pa.float32()),
    "double": pa.array([1.5], pa.float64()),
    "string": pa.array(["a"]),
    "large_string": pa.array(["a"], pa.large_string()),
    "binary": pa.array([b"a"]),
    "date": pa.array([date(2026, 5, 4)]),
    "time": pa.array([time(9, 30)], pa.time64("us")),
    "time_ms": pa.array([time(9, 30)], pa.time32("ms")),
    "timestamp_us": pa.array([MOMENT.replace(tzinfo=None)], pa.timestamp("us")),
    "timestamp_ms": pa.array([MOMENT.replace(tzinfo=None)], pa.timestamp("ms")),
    "timestamp_ns": pa.array([MOMENT.replace(tzinfo=None)], pa.timestamp("ns")),
    "timestamp_tz": pa.array([MOMENT], pa.timestamp("us", "UTC")),
    "decimal": pa.array([Decimal("1.50")], pa.decimal128(10, 2)),
    "dictionary": pa.array(["a"]).dictionary_encode(),
    "list": pa.array([[1]], pa.list_(pa.int64())),
    "nested_list": pa.array([[["a"]]], pa.list_(pa.list_(pa.string()))),
}  # fmt: skip


@pytest.mark.parametrize("name", ARRAYS)
def test_footer_names_the_type_that_duckdb_shows(tmp_path: Path, name: str) -> None:
    path = tmp_path / "one.parquet"
    pq.write_table(pa.table({"value": ARRAYS[name]}), path)
    facts = read_footer(path)
    with duckdb.connect() as engine:
        shown = engine.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
    assert facts.columns == ((shown[0][0], shown[0][1]),)
    assert facts.row_count == 1


def test_type_that_has_no_name_is_refused_with_the_column(tmp_path: Path) -> None:
    path = tmp_path / "one.parquet"
    pq.write_table(pa.table({"value": pa.array([{"a": 1}])}), path)
    with pytest.raises(Unprocessable, match="column 'value' has the type struct<a: int64>, which cannot be registered"):
        read_footer(path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it does not begin as Parquet does"),
        (b"PA", "it does not begin as Parquet does"),
        (b"PAR1", "it is cut off"),
        (b"PAR1" + bytes(100), "it is cut off"),
        (b"PAR1" + bytes(100) + b"PAR1\n", "something stands behind its end"),
        (b"PARE" + bytes(100) + b"PARE", "it is encrypted"),
        (b"PAR1" + bytes(100) + b"PAR1", "its footer, is damaged"),
        (b"a,b\n1,2\n" * 100, "it does not begin as Parquet does; ingest it as what it is"),
    ],
)
def test_file_that_is_no_parquet_is_unprocessable(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "one.parquet"
    path.write_bytes(content)
    with pytest.raises(Unprocessable, match=f"the file is not Parquet that can be read: .*{why}"):
        read_footer(path)
