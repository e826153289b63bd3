"""The values of one metadata field that are of one kind, in columns: numbers, true and false, lists, objects.

Belongs here: how each kind is kept and compared, many at once. Not here: texts (see text_columns.py), which rows have a
value (see field_columns.py), what a comparison means (see filters.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lakehouse.retrieval.filters import Compare, Scalar, kind_of
from lakehouse.retrieval.growing import GrowingArray

Mask = NDArray[np.bool_]
# Whole numbers beyond this need not have an exact double.
EXACT = 1 << 53
_IN_ORDER: dict[str, Callable[[Any, Any], Mask]] = {
    "gt": np.greater,
    "gte": np.greater_equal,
    "lt": np.less,
    "lte": np.less_equal,
}


class Values(Protocol):
    """The values of one kind, in the order of their rows."""

    def append(self, values: Sequence[Any]) -> None: ...

    def test(self, condition: Compare, low: int, high: int) -> Mask | None:
        """Which of the values at these positions pass; None: no one does."""

    @property
    def bytes(self) -> int: ...


class Doubles:
    """Numbers that a double holds exactly."""

    def __init__(self) -> None:
        self._values = GrowingArray(np.float64)

    def append(self, values: Sequence[Any]) -> None:
        self._values.append(np.array(values, np.float64))

    def test(self, condition: Compare, low: int, high: int) -> Mask | None:
        values = self._values.view(low, high)
        wanted = [v for v in _scalars(condition) if kind_of(v) == "number"]
        if condition.op in _IN_ORDER:
            return _IN_ORDER[condition.op](values, _bound(condition.op, wanted[0])) if wanted else None
        exact = [float(v) for v in wanted if _is_double(v)]
        if condition.op == "contains" or not exact:
            return None
        return values == exact[0] if len(exact) == 1 else np.isin(values, exact)

    @property
    def bytes(self) -> int:
        return self._values.bytes


class LargeIntegers:
    """Whole numbers that no double holds; rare, and compared as Python does."""

    def __init__(self) -> None:
        self._values = GrowingArray(np.object_)

    def append(self, values: Sequence[Any]) -> None:
        array = np.empty(len(values), np.object_)
        array[:] = values
        self._values.append(array)

    def test(self, condition: Compare, low: int, high: int) -> Mask | None:
        values = self._values.view(low, high)
        wanted = [v for v in _scalars(condition) if kind_of(v) == "number"]
        if not wanted or condition.op == "contains":
            return None
        if condition.op in _IN_ORDER:
            return _IN_ORDER[condition.op](values, wanted[0]).astype(np.bool_)
        known = set(wanted)
        return np.fromiter((v in known for v in values), np.bool_, len(values))

    @property
    def bytes(self) -> int:
        return 36 * len(self._values) + self._values.bytes


class Booleans:
    """True and false."""

    def __init__(self) -> None:
        self._values = GrowingArray(np.bool_)

    def append(self, values: Sequence[Any]) -> None:
        self._values.append(np.array(values, np.bool_))

    def test(self, condition: Compare, low: int, high: int) -> Mask | None:
        wanted = {v for v in _scalars(condition) if isinstance(v, bool)}
        if not wanted or condition.op not in ("eq", "in"):
            return None
        values = self._values.view(low, high)
        return np.ones(high - low, np.bool_) if len(wanted) == 2 else values == wanted.pop()

    @property
    def bytes(self) -> int:
        return self._values.bytes


class Lists:
    """Lists, by the 64-bit hashes of their elements; what is no scalar in one cannot be asked for.

    Texts are hashed with a key that no caller knows, so two elements are taken for one with a chance of 2⁻⁶⁴ a pair.
    """

    def __init__(self) -> None:
        self._hashes = GrowingArray(np.int64)
        self._ends = GrowingArray(np.int64)
        self._ends.append(np.zeros(1, np.int64))

    def append(self, values: Sequence[Any]) -> None:
        elements = list(chain.from_iterable(values))
        counts = np.fromiter(map(len, values), np.int64, len(values))
        if set(map(type, elements)) <= {str}:
            hashes = list(map(hash, elements))
        else:
            known = [[_hash(e) for e in value if type(e) in (str, bool, int, float)] for value in values]
            counts = np.fromiter(map(len, known), np.int64, len(known))
            hashes = list(chain.from_iterable(known))
        self._hashes.append(np.array(hashes, np.int64))
        self._ends.append(self._ends.view()[-1] + np.cumsum(counts))

    def test(self, condition: Compare, low: int, high: int) -> Mask | None:
        if condition.op != "contains":
            return None
        ends = self._ends.view(low, high + 1)
        found = np.flatnonzero(self._hashes.view(int(ends[0]), int(ends[-1])) == _hash(condition.value)) + ends[0]
        hits = np.zeros(high - low, np.bool_)
        hits[np.searchsorted(ends, found, side="right") - 1] = True
        return hits

    @property
    def bytes(self) -> int:
        return self._hashes.bytes + self._ends.bytes


class Objects:
    """Objects, of which only the presence can be asked; their members are fields of their own."""

    def append(self, values: Sequence[Any]) -> None: ...

    def test(self, condition: Compare, low: int, high: int) -> Mask | None:
        return None

    @property
    def bytes(self) -> int:
        return 0


def _scalars(condition: Compare) -> tuple[Scalar, ...]:
    return condition.value if isinstance(condition.value, tuple) else (condition.value,)


def _is_double(value: Any) -> bool:
    try:
        return bool(float(value) == value)
    except OverflowError:
        return False


def _bound(op: str, value: Any) -> float:
    """The double that separates doubles as `value` does in this order."""
    try:
        near = float(value)
    except OverflowError:
        near = float("inf") if value > 0 else float("-inf")
    if near == value:
        return near
    # No double lies between the two, so a step past `near` changes only the answer for `near` itself.
    if near > value:
        return float(np.nextafter(near, -np.inf)) if op in ("gt", "lte") else near
    return float(np.nextafter(near, np.inf)) if op in ("lt", "gte") else near


def _hash(value: Any) -> int:
    if isinstance(value, str):
        return hash(value)
    # Hashed as a pair of texts, since different numbers may have equal hashes: -1 and -2, or 0 and 2**61 - 1.
    is_whole = isinstance(value, int) or value == int(value)
    return hash((kind_of(value), str(int(value)) if is_whole else repr(value)))
