"""Which rows of an index may come back: filters, ids asked for, ids excluded, rows that are gone.

Belongs here: a selection in both its forms, masks of recent filters. Not here: what a filter means (see filters.py),
rows and their ids (see lakehouse/adapters/hot_rows.py).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lakehouse.distinct import distinct
from lakehouse.retrieval.filters import Filter
from lakehouse.retrieval.metadata_columns import MetadataColumns

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
_CACHE_BYTES = 32 << 20
_CACHE_ENTRIES = 256
_NO_BITS = np.empty(0, np.uint8)
# When fewer than one row in so many is selected, row numbers are kept, as they take less than a bool for each row.
_SPARSE = 16
# Bytes of a selection without its rows.
_ENTRY_BYTES = 500
# Up to so many left-out rows are kept as such, with a reference to the selection that they were left out of.
_FEW_LEFT_OUT = 256
_NONE_LEFT_OUT: Rows = np.empty(0, np.int64)
_Asked: TypeAlias = tuple[Filter | None, frozenset[str]]


class Selection:
    """The rows of one index that a search may return, at one moment.

    It keeps the arrays it was made from alive: what is written or compacted later changes nothing in it.

    Args:
        source: The rows it is about.
        first: Public number of row 0.
        end: How many rows there were; all of them are meant without `mask` and `rows`.
        mask: True for those that are meant, one bool a row.
        rows: Those that are meant, ascending.
    """

    __slots__ = ("_count", "_mask", "_rows", "base", "end", "first", "kept", "left_out", "source")

    def __init__(
        self, source: Any, first: int, end: int, *, mask: Mask | None = None, rows: Rows | None = None
    ) -> None:
        self.source = source
        self.first = first
        self.end = end
        self.kept: Any = None  # what a search engine has computed from it
        # The rows are those of `base` without `left_out`, so that one search over `base` serves both.
        self.base: Selection | None = None
        self.left_out = _NONE_LEFT_OUT
        self._mask = mask
        self._rows = rows
        self._count = end if mask is None else int(np.count_nonzero(mask))
        if rows is not None:
            self._count = len(rows)

    def __len__(self) -> int:
        return self._count

    @classmethod
    def of_mask(cls, source: Any, first: int, end: int, mask: Mask) -> Selection:
        """The rows of a mask, in the form that takes less memory, as selections are cached."""
        count = int(np.count_nonzero(mask))
        if count * _SPARSE < end:
            return cls(source, first, end, rows=np.flatnonzero(mask))
        return cls(source, first, end, mask=mask)

    @property
    def bytes(self) -> int:
        """About how many bytes it takes; what an engine computes from a mask is an eighth of the mask."""
        mask = 0 if self._mask is None else self.end + self.end // 8
        return _ENTRY_BYTES + mask + (0 if self._rows is None else self._rows.nbytes)

    @property
    def is_all(self) -> bool:
        """True when every row is meant."""
        return self._count == self.end

    def rows(self) -> Rows:
        """The rows meant, ascending, counted from 0."""
        if self._rows is None:
            is_whole = self._mask is None and self.base is None
            self._rows = np.arange(self.end) if is_whole else np.flatnonzero(self.mask())
        return self._rows

    def mask(self) -> Mask:
        """One bool a row; not to be written to."""
        if self._mask is not None:
            return self._mask
        if self.base is not None:
            self._mask = self.base.mask().copy()
            self._mask[self.left_out] = False
            return self._mask
        mask = np.full(self.end, self._rows is None)
        if self._rows is not None:
            mask[self._rows] = True
        if self._rows is None or len(self._rows) * _SPARSE >= self.end:
            self._mask = mask  # not for few rows, whose mask is made quickly
        return mask

    def has(self, row: int) -> bool:
        """Whether a row, by its public number, is meant."""
        return bool(self.those_of((row,)))

    def those_of(self, rows: Sequence[int]) -> list[int]:
        """Those of some rows, by their public numbers, that are meant."""
        inside = [row for row in rows if 0 <= row - self.first < self.end]
        if self.is_all or not inside:
            return inside
        if self.base is not None:
            left_out = set(self.left_out.tolist())
            return [row for row in self.base.those_of(rows) if row - self.first not in left_out]
        numbers = np.array(inside, np.int64)
        at = numbers - self.first
        if self._mask is None and self._rows is not None and len(self._rows):
            places = np.minimum(self._rows.searchsorted(at), len(self._rows) - 1)
            return list(numbers[self._rows[places] == at].tolist())
        return list(numbers[self.mask()[at]].tolist())

    def without(self, rows: Rows) -> Selection:
        """The same without some rows, counted from 0."""
        if self.base is None and len(rows) <= _FEW_LEFT_OUT:
            left_out = sorted({row - self.first for row in self.those_of((rows + self.first).tolist())})
            rest = Selection(self.source, self.first, self.end)
            rest.base, rest.left_out = self, np.array(left_out, np.int64)
            rest._count = len(self) - len(left_out)
            return rest if left_out else self
        mask = self.mask().copy()
        mask[rows] = False
        return Selection(self.source, self.first, self.end, mask=mask)

    def among(self, mask: Mask) -> Selection:
        """Those of the rows of a mask, one bool a row, that are meant here."""
        return Selection(self.source, self.first, self.end, mask=self.mask() & mask)

    def only(self, rows: Rows) -> Selection:
        """Those of some rows, counted from 0, that are meant here."""
        unique = distinct(rows)
        unique = unique[unique < self.end]
        return Selection(self.source, self.first, self.end, rows=unique[self.mask()[unique]])


class RecentSelections:
    """Selections of the newest view of an index; those of an earlier one would keep its arrays alive.

    It is not an attribute of the rows: a selection refers to its rows, and a reference cycle would keep both alive.
    """

    def __init__(self) -> None:
        self._keeping = threading.Lock()
        self._recent: tuple[object, dict[_Asked, tuple[Selection, int]]] = (None, {})
        self._bytes = 0

    def find(self, view: object, asked: _Asked) -> Selection | None:
        """The selection that was made of this view for this filter."""
        of_view, selections = self._recent
        found = selections.get(asked) if of_view is view else None
        return None if found is None else found[0]

    def keep(self, view: object, asked: _Asked, selection: Selection) -> None:
        """Remember a selection, and forget those of other views, and the oldest when all take too much."""
        with self._keeping:
            of_view, selections = self._recent
            if of_view is not view:
                selections, self._bytes = {}, 0
                self._recent = (view, selections)
            if asked in selections:
                return
            size = selection.bytes
            selections[asked] = (selection, size)
            self._bytes += size
            while self._bytes > _CACHE_BYTES and len(selections) > 1:
                self._bytes -= selections.pop(next(iter(selections)))[1]


class FilterMasks:
    """Masks of the filters asked for lately. A row never changes, so a mask only has to grow with the rows.

    Each is kept as bits, as only new selections need it.
    """

    def __init__(self, columns: MetadataColumns) -> None:
        self._columns = columns
        self._lock = threading.Lock()
        self._masks: OrderedDict[tuple[Filter, frozenset[str]], tuple[NDArray[np.uint8], int]] = OrderedDict()

    def mask(self, filter: Filter, masked: frozenset[str], end: int) -> Mask:  # noqa: A002 - the word of the contract
        """Which of the first `end` rows pass; not to be written to."""
        key = (filter, masked)
        with self._lock:
            bits, start = self._masks.get(key, (_NO_BITS, 0))
        known = np.unpackbits(bits, count=start).view(np.bool_)
        if start >= end:
            return known[:end]
        fresh = self._columns.evaluate(filter, start, end, masked=masked)
        whole = np.concatenate([known, fresh]) if start else fresh
        with self._lock:
            self._masks[key] = np.packbits(whole), len(whole)
            self._masks.move_to_end(key)
            while len(self._masks) > max(1, min(_CACHE_ENTRIES, 8 * _CACHE_BYTES // max(1, end))):
                self._masks.popitem(last=False)
        return whole

    @property
    def bytes(self) -> int:
        """Memory of the masks."""
        with self._lock:
            return sum(bits.nbytes for bits, _ in self._masks.values())
