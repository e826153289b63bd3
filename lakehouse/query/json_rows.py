"""JSON rows: an answer gathered in encoded chunks, so that it is held once and its size is known while it grows.

Belongs here: gathering, and a column that turns out to be too wide late. Not here: single values (see json_values.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from lakehouse.errors import InsufficientStorage
from lakehouse.query.json_values import SqlType, column_values, json_form


@dataclass(frozen=True, slots=True)
class AnswerColumn:
    """A column of an answer: its name, its DuckDB type by name, and with its parts where it is nested."""

    name: str
    type_name: str
    type_: SqlType | None = None


class JsonRows:
    """The rows of one answer.

    Args:
        columns: Of the answer.
        max_bytes: The largest body.
    """

    def __init__(self, columns: Sequence[AnswerColumn], *, max_bytes: int) -> None:
        self._columns = columns
        self._max_bytes = max_bytes
        self._forms: list[str] = [json_form(column.type_name) for column in columns]
        self._chunks: list[bytes] = []
        self._size_bytes = 0
        self.row_count = 0

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows as the engine gives them.

        Raises:
            InsufficientStorage: The body would be larger than `max_bytes`.
        """
        if not rows:
            return
        by_column = []
        for index, (cells, column) in enumerate(zip(zip(*rows, strict=True), self._columns, strict=True)):
            values, form = column_values(column.type_name, list(cells), column.type_)
            if form != self._forms[index]:
                if form == "string":
                    self._widen(index)
                else:
                    values = [None if v is None else str(v) for v in values]
            by_column.append(values)
        chunk = orjson.dumps(list(zip(*by_column, strict=True)))[1:-1]
        self._size_bytes += len(chunk) + 1
        if self._size_bytes > self._max_bytes:
            raise InsufficientStorage(
                f"the JSON answer is larger than {self._max_bytes >> 20} MiB; ask for fewer rows or columns,"
                ' or for "format": "arrow" or "csv", which stream',
                max_bytes=self._max_bytes,
            )
        self._chunks.append(chunk)
        self.row_count += len(rows)

    def columns(self) -> list[dict[str, str]]:
        """Name, DuckDB type and JSON form (`number`, `string`, `boolean`, `json`) of each column."""
        return [
            {"name": column.name, "type": column.type_name, "json": form}
            for column, form in zip(self._columns, self._forms, strict=True)
        ]

    def body(self) -> bytes:
        """All rows as one JSON array of arrays."""
        return b"[" + b",".join(self._chunks) + b"]"

    def _widen(self, index: int) -> None:
        """Make strings of a column whose numbers are in the chunks already."""
        self._forms[index] = "string"
        for position, chunk in enumerate(self._chunks):
            rows = orjson.loads(b"[" + chunk + b"]")
            for row in rows:
                row[index] = None if row[index] is None else str(row[index])
            self._chunks[position] = orjson.dumps(rows)[1:-1]
