"""A number for each of some rows, found for fifty of them at once in memory that does not grow with the corpus.

A row's place is its lowest bits. Rows of one corpus share no place until it has `MOST_PLACES`; of two that do the one
whose slot was put last is known.

Belongs here: putting, finding. Not here: what the numbers mean (see profile_table.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Slots = NDArray[np.int32]
UNKNOWN, NOTHING = -2, -1
"""Of a row that was not put, and of one that is known to have none; a slot is 0 or more."""
MOST_PLACES = 1 << 18
_LEAST_PLACES = 1 << 12
# Slots are kept so that a place without a row is a zero: pages that nobody wrote take no memory.
_SHIFT = -UNKNOWN


class RowSlots:
    """Slots by rows; one thread at a time."""

    def __init__(self) -> None:
        self._resize(_LEAST_PLACES)

    def of(self, rows: Rows) -> Slots:
        """The slots of some rows; `UNKNOWN` where none was put."""
        at = rows & self._mask
        found: Slots = self._slots[at]
        found *= self._rows[at] == rows
        found -= _SHIFT
        return found

    def get(self, row: int) -> int:
        """The slot of one row."""
        at = row & self._mask
        return self._slots.item(at) - _SHIFT if self._rows.item(at) == row else UNKNOWN

    def put(self, row: int, slot: int) -> tuple[int, int] | None:
        """Keep the slot of a row; the other row whose slot had the place, if any, and that slot."""
        self._reach(row)
        at = row & self._mask
        other, held = self._rows.item(at), self._slots.item(at) - _SHIFT
        self._rows[at], self._slots[at] = row, slot + _SHIFT
        return (other, held) if other != row and held >= 0 else None

    def put_nothing(self, rows: Rows) -> None:
        """Keep that some rows have none, but where the slot of another row has the place."""
        if not len(rows):
            return
        self._reach(int(rows.max()))
        at = rows & self._mask
        is_free = self._slots.take(at) < _SHIFT
        if not is_free.all():
            at, rows = at[is_free], rows[is_free]
        self._rows[at], self._slots[at] = rows, NOTHING + _SHIFT

    def forget(self, row: int) -> None:
        """Let a row be unknown."""
        at = row & self._mask
        if self._rows.item(at) == row:
            self._slots[at] = 0

    def renumber(self) -> Slots:
        """Number the slots that there are anew, from 0 on; which each of them was."""
        at = (self._slots >= _SHIFT).nonzero()[0]
        were = self._slots[at] - np.int32(_SHIFT)
        self._slots[at] = np.arange(_SHIFT, _SHIFT + len(at))
        return were

    def _resize(self, places: int) -> None:
        self._mask = places - 1
        self._rows, self._slots = np.zeros(places, np.int64), np.zeros(places, np.int32)

    def _reach(self, row: int) -> None:
        while row > self._mask and self._mask + 1 < MOST_PLACES:
            self._double()

    def _double(self) -> None:
        at = self._slots.nonzero()[0]
        rows, slots = self._rows[at], self._slots[at]
        self._resize(2 * (self._mask + 1))
        self._rows[rows & self._mask], self._slots[rows & self._mask] = rows, slots
