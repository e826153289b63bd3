"""Texts of one metadata field: as codes into a dictionary while few differ, else side by side as Arrow keeps them.

Belongs here: both forms, when one becomes the other, comparisons. Not here: the other kinds (see field_columns.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakehouse.retrieval.filters import Compare
from lakehouse.retrieval.growing import GrowingArray, GrowingStrings

Mask = NDArray[np.bool_]
# About what a Python string and its dictionary entry take. A long dictionary pays only with four rows for each entry.
_ENTRY_BYTES = 130
_LONG_DICTIONARY = 16_384
_ROWS_PER_ENTRY = 4
_ORDERS = {"gt": pc.greater, "gte": pc.greater_equal, "lt": pc.less, "lte": pc.less_equal}


class Texts:
    """The texts of a field, in the order of their rows."""

    def __init__(self) -> None:
        self._store: _Coded | _Plain = _Coded()

    def append(self, values: Sequence[Any]) -> None:
        """Add texts."""
        self._store.append(pa.array(values, pa.large_string()))
        if isinstance(self._store, _Coded) and self._store.is_long:
            plain = _Plain()
            plain.append(self._store.texts())
            self._store = plain

    def test(self, condition: Compare, low: int, high: int) -> Mask | None:
        """Which of the texts at these positions pass; None: no one does."""
        wanted = condition.value if isinstance(condition.value, tuple) else (condition.value,)
        texts = [v for v in wanted if isinstance(v, str)]
        return self._store.test(condition.op, texts, low, high) if texts else None

    @property
    def bytes(self) -> int:
        """About how much memory the texts take."""
        return self._store.bytes


class _Plain:
    def __init__(self) -> None:
        self._values = GrowingStrings()

    def append(self, values: pa.LargeStringArray) -> None:
        self._values.append(values)

    def test(self, op: str, wanted: list[str], low: int, high: int) -> Mask | None:
        return _passing(self._values.view(low, high), op, wanted)

    @property
    def bytes(self) -> int:
        return self._values.bytes


class _Coded:
    def __init__(self) -> None:
        self._codes = GrowingArray(np.int32)
        self._entries = GrowingStrings()
        self._code_of: dict[str, int] = {}

    @property
    def is_long(self) -> bool:
        return len(self._code_of) > max(_LONG_DICTIONARY, len(self._codes) // _ROWS_PER_ENTRY)

    @property
    def bytes(self) -> int:
        return self._codes.bytes + self._entries.bytes + _ENTRY_BYTES * len(self._code_of)

    def append(self, values: pa.LargeStringArray) -> None:
        encoded = values.dictionary_encode()
        texts = encoded.dictionary.to_pylist()
        known = len(self._code_of)
        codes = np.array([self._code_of.setdefault(t, len(self._code_of)) for t in texts], np.int32)
        # The entries go in first, so that a reader that sees a code finds its text.
        self._entries.append([t for t, code in zip(texts, codes, strict=True) if code >= known])
        self._codes.append(codes[encoded.indices.to_numpy()])

    def texts(self) -> pa.LargeStringArray:
        return self._entries.view().take(pa.array(self._codes.view()))

    def test(self, op: str, wanted: list[str], low: int, high: int) -> Mask | None:
        codes = self._codes.view(low, high)
        if op in ("eq", "in"):
            found = [code for code in map(self._code_of.get, wanted) if code is not None]
            if len(found) < 2:
                return codes == found[0] if found else None
            table = np.zeros(len(self._entries), np.bool_)
            table[[code for code in found if code < len(table)]] = True
        else:
            table = _passing(self._entries.view(), op, wanted)
        return cast("Mask", table[codes])


def _passing(texts: pa.LargeStringArray, op: str, wanted: list[str]) -> Mask:
    if op == "contains":
        passing = pc.match_substring(texts, wanted[0])
    elif op in _ORDERS:
        passing = _ORDERS[op](texts, pa.scalar(wanted[0], pa.large_string()))
    elif len(wanted) == 1:
        passing = pc.equal(texts, pa.scalar(wanted[0], pa.large_string()))
    else:
        passing = pc.is_in(texts, value_set=pa.array(wanted, pa.large_string()))
    return cast("Mask", passing.to_numpy(zero_copy_only=False))
