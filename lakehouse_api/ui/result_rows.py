"""Rows and cells of a kept answer, read batch by batch.

Belongs here: Arrow to Python values. Not here: keeping (see results.py), how a value is written (see formats.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lakehouse.errors import NotFound
from lakehouse_api.ui.formats import CELL_CHARACTERS

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse_api.ui.results import Result

# DuckDB writes its infinite dates and times as the ends of the numbers behind them.
_INFINITE = {2**31 - 1: "infinity", -(2**31) + 1: "-infinity", 2**63 - 1: "infinity", -(2**63) + 1: "-infinity"}
_UNTOLD = "(a time that no calendar of pages has)"


def read_rows(result: Result, *, start: int, count: int) -> list[tuple[Any, ...]]:
    """Some rows of an answer, as Python values; no others are read into memory, and of long texts their beginnings."""
    rows: list[tuple[Any, ...]] = []
    place = 0
    end = min(start + count, result.rows)
    for number, length in enumerate(result.batches):
        if place + length > start and place < end:
            batch = _batch(result, number)
            part = batch.slice(max(0, start - place), min(length, end - place) - max(0, start - place))
            columns = [_values(_shortened(column)) for column in part.columns]
            rows += list(zip(*columns, strict=True)) if columns else []
        place += length
    return rows


def read_cell(result: Result, *, row: int, column: int) -> Any:
    """One value, whole."""
    if not 0 <= row < result.rows or not 0 <= column < len(result.columns):
        raise NotFound(f"the answer has no cell in row {row}, column {column}")
    place = 0
    for number, length in enumerate(result.batches):
        if row < place + length:
            return _values(_batch(result, number).column(column).slice(row - place, 1))[0]
        place += length
    raise NotFound(f"the answer has no row {row}")


def _shortened(column: pa.Array) -> pa.Array:
    """A column with its texts cut where a page cuts them: a thousand cells of a megabyte are a gigabyte."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return pc.utf8_slice_codeunits(column, 0, CELL_CHARACTERS + 1)
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return pc.binary_slice(column, 0, CELL_CHARACTERS)
    return column


def _batch(result: Result, number: int) -> pa.RecordBatch:
    import pyarrow as pa

    with pa.memory_map(str(result.path)) as source, pa.ipc.open_stream(source) as reader:
        batches: Iterator[pa.RecordBatch] = iter(reader)
        for _ in range(number):
            next(batches)
        return next(batches)


def _values(column: pa.Array) -> list[Any]:
    """A column as Python values; times that Python has no value for, as text."""
    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError):
        return [_value(column, row) for row in range(len(column))]


def _value(column: pa.Array, row: int) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return column[row].as_py()
    except (OverflowError, ValueError):
        number = getattr(column[row], "value", None)
    if number in _INFINITE:
        return _INFINITE[number]
    try:
        return pc.cast(column.slice(row, 1), pa.string())[0].as_py()
    except pa.ArrowException:
        return _UNTOLD
