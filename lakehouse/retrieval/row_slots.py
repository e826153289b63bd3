"""A direct-mapped table from rows to slots, asked for fifty rows at once; its size does not grow with the corpus.

A row's place is given by its lowest bits. Rows of a corpus share no place until it has more than `MOST_PLACES` rows; of
two rows that share one, the one put last is known.

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
# Slots are stored so that an empty place is zero, as pages that were never written take no memory.
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
        """Keep the slot of a row; returns the row that had the place, and its slot, when there was another."""
        self._reach(row)
        at = row & self._mask
        other, held = self._rows.item(at), self._slots.item(at) - _SHIFT
        self._rows[at], self._slots[at] = row, slot + _SHIFT
        return (other, held) if other != row and held >= 0 else None

    def put_nothing(self, rows: Rows) -> None:
        """Remember that some rows have no slot, except where the slot of another row has the place."""
        if not len(rows):
            return
        self._reach(int(rows.max()))
        at = rows & self._mask
        is_free = self._slots.take(at) < _SHIFT
        if not is_free.all():
            at, rows = at[is_free], rows[is_free]
        self._rows[at], self._slots[at] = rows, NOTHING + _SHIFT

    def forget(self, row: int) -> None:
        """Make a row unknown."""
        at = row & self._mask
        if self._rows.item(at) == row:
            self._slots[at] = 0

    def renumber(self) -> Slots:
        """Renumber the slots from 0 on; returns the old number of each."""
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
