"""One metadata field: the rows that have it and the columns of the kinds that occur in it.

Belongs here: which value is of which row and kind. Not here: the values (see value_columns.py, text_columns.py), all
fields and whole filters (see metadata_columns.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from lakehouse.retrieval.filters import Compare, Kind
from lakehouse.retrieval.growing import GrowingArray
from lakehouse.retrieval.text_columns import Texts
from lakehouse.retrieval.value_columns import EXACT, Booleans, Doubles, LargeIntegers, Lists, Objects, Values

Mask = NDArray[np.bool_]


class RowNumbers:
    """Ascending row numbers; two integers as long as they follow each other without a gap."""

    def __init__(self) -> None:
        self._first = 0
        self._count = 0
        self._array: GrowingArray | None = None

    def append(self, rows: NDArray[np.int64]) -> None:
        """Add rows, each above the last."""
        if self._array is None:
            if not self._count:
                self._first = int(rows[0])
            end = self._first + self._count
            if rows[0] == end and rows[-1] == end + len(rows) - 1:
                self._count += len(rows)
                return
            array = GrowingArray(np.int32)
            array.append(np.arange(self._first, end))
            array.append(rows)
            self._array = array
            return
        self._array.append(rows)

    @property
    def bytes(self) -> int:
        """Memory of the numbers."""
        return 0 if self._array is None else self._array.bytes

    def positions(self, start: int, stop: int) -> tuple[int, int]:
        """The positions, from and to, of the rows in `start` to `stop`."""
        if self._array is None:
            return max(0, start - self._first), max(0, min(self._count, stop - self._first))
        low, high = np.searchsorted(self._array.view(), (start, stop))
        return int(low), int(high)

    def mark(self, mask: Mask, start: int, low: int, hits: Mask | None) -> None:
        """Set rows in a mask.

        Args:
            mask: Of the rows from `start` on.
            start: Its first row.
            low: Position of the first hit.
            hits: Which of the values from there on pass; None: all.
        """
        count = len(mask) if hits is None else len(hits)
        if self._array is None:
            offset = self._first + low - start
            if hits is None:
                mask[offset : max(offset, min(count, self._first + self._count - start))] = True
            else:
                mask[offset : offset + count] |= hits
        elif hits is None:
            mask[self._array.view(low, self.positions(0, start + count)[1]) - start] = True
        else:
            mask[self._array.view(low, low + count)[hits] - start] = True


class FieldColumn:
    """One field: the columns of the kinds that occur in it."""

    def __init__(self) -> None:
        self._columns: dict[_Name, tuple[RowNumbers, Values]] = {}
        self.kinds: frozenset[Kind] = frozenset()

    def append(self, rows: Sequence[int], values: Sequence[object]) -> None:
        """Add values; null is as if it were missing."""
        types = set(map(type, values))
        if len(types) == 1 and types <= {str, float, bool, list}:
            self._add(_NAMES[types.pop()], rows, values)
            return
        for name in {name for value in values if (name := _column_of(value)) is not None}:
            pairs = [(r, v) for r, v in zip(rows, values, strict=True) if _column_of(v) == name]
            self._add(name, *zip(*pairs, strict=True))

    def mark(self, condition: Compare, mask: Mask, start: int) -> None:
        """Set those of `mask` (rows from `start` on) that pass `eq`, `in`, an order, `contains` or `exists: true`."""
        for rows, values in tuple(self._columns.values()):
            low, high = rows.positions(start, start + len(mask))
            if low >= high:
                continue
            if condition.op == "exists":
                rows.mark(mask, start, low, None)
            elif (hits := values.test(condition, low, high)) is not None:
                rows.mark(mask, start, low, hits)

    @property
    def bytes(self) -> int:
        """About how much memory the values take."""
        return sum(rows.bytes + values.bytes for rows, values in tuple(self._columns.values()))

    def _add(self, name: _Name, rows: Sequence[int], values: Sequence[object]) -> None:
        if name not in self._columns:
            self._columns[name] = (RowNumbers(), _NEW[name]())
        numbers, column = self._columns[name]
        # The values go in first, so that a reader that sees a row finds its value.
        column.append(values)
        numbers.append(np.array(rows, np.int64))
        self.kinds |= {_KINDS[name]}


_Name = Literal["text", "boolean", "double", "integer", "list", "object"]
_NEW: dict[_Name, Callable[[], Values]] = {
    "text": Texts,
    "boolean": Booleans,
    "double": Doubles,
    "integer": LargeIntegers,
    "list": Lists,
    "object": Objects,
}
_KINDS: dict[_Name, Kind] = {
    "text": "text",
    "boolean": "boolean",
    "double": "number",
    "integer": "number",
    "list": "list",
    "object": "object",
}
_NAMES: dict[type, _Name] = {
    str: "text",
    bool: "boolean",
    int: "integer",
    float: "double",
    list: "list",
    dict: "object",
}


def _column_of(value: object) -> _Name | None:
    name = _NAMES.get(type(value))
    return "double" if name == "integer" and abs(cast("int", value)) <= EXACT else name
