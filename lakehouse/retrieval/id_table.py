"""Which row has an id: a hash table in two arrays, asked for many ids at once.

A dictionary would take ten times the memory, and ten times as long for the ten thousand ids that a request may exclude.
Ids are told apart by Python's 64-bit hash, keyed anew in each process: among a million ids two are taken for one with a
chance of 3 in 100 million.

Belongs here: finding, putting, taking out. Not here: the ids themselves (see growing.py), which rows live, locks (see
lakehouse/adapters/hot_rows.py).
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from lakehouse.distinct import distinct

Rows = NDArray[np.int64]
_EMPTY, _TAKEN_OUT = -1, -2
_SMALLEST = 64
# Up to so many ids a loop is quicker than numpy calls for all of them.
_FEW = 16


class IdTable:
    """Ids and their rows; one thread at a time may use it.

    Open addressing with linear probing, at most half full.
    """

    def __init__(self) -> None:
        self._hashes = np.zeros(_SMALLEST, np.int64)
        self._rows = np.full(_SMALLEST, _EMPTY, np.int32)
        self._filled = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def row_of(self, id: str) -> int | None:  # noqa: A002 - the key of the rows
        """The row of an id, None when there is none."""
        row_at = self._rows.item
        mask = len(self._rows) - 1
        wanted = hash(id)
        slot = wanted & mask
        while (row := row_at(slot)) != _EMPTY:
            if row >= 0 and self._hashes.item(slot) == wanted:
                return row
            slot = (slot + 1) & mask
        return None

    def rows_of(self, ids: Collection[str]) -> Rows:
        """The rows of ids, in their order; -1 where there is none."""
        if len(ids) <= _FEW:
            rows = (self.row_of(one) for one in ids)
            return np.array([-1 if row is None else row for row in rows], np.int64)
        slots = self._slots_of(_hashes_of(ids))
        return np.where(slots >= 0, self._rows[slots], -1).astype(np.int64)

    def put(self, ids: Collection[str], rows: Rows) -> Rows:
        """Give ids their rows.

        Args:
            ids: No id twice.
            rows: One each.

        Returns:
            The rows that some of them had.
        """
        hashes = _hashes_of(ids)
        slots = self._slots_of(hashes)
        is_known = slots >= 0
        replaced = self._rows[slots[is_known]].astype(np.int64)
        self._rows[slots[is_known]] = rows[is_known]
        self._insert(hashes[~is_known], rows[~is_known].astype(np.int32))
        return replaced

    def pop(self, ids: Collection[str]) -> Rows:
        """Remove ids; returns the rows that they had."""
        slots = distinct(self._slots_of(_hashes_of(ids)))
        slots = slots[slots >= 0]
        rows = self._rows[slots].astype(np.int64)
        self._rows[slots] = _TAKEN_OUT
        self._count -= len(slots)
        return rows

    @property
    def bytes(self) -> int:
        """Memory of the arrays."""
        return self._hashes.nbytes + self._rows.nbytes

    def _slots_of(self, hashes: Rows) -> Rows:
        mask = len(self._rows) - 1
        slots = hashes & mask
        found = np.full(len(hashes), -1)
        pending = np.arange(len(hashes))
        while len(pending):
            at = slots[pending]
            rows = self._rows[at]
            is_it = (rows >= 0) & (self._hashes[at] == hashes[pending])
            found[pending[is_it]] = at[is_it]
            pending = pending[~is_it & (rows != _EMPTY)]
            slots[pending] = (slots[pending] + 1) & mask
        return found

    def _insert(self, hashes: Rows, rows: NDArray[np.int32]) -> None:
        """Insert hashes that are not in the table yet."""
        if 2 * (self._filled + len(hashes)) > len(self._rows):
            self._rebuild(self._count + len(hashes))
        mask = len(self._rows) - 1
        slots = hashes & mask
        pending = np.arange(len(hashes))
        while len(pending):
            at = slots[pending]
            free = np.flatnonzero(self._rows[at] < 0)
            # Several may claim one slot; the first of them gets it, the others go on probing.
            places, first = np.unique(at[free], return_index=True)
            winners = pending[free[first]]
            self._filled += int(np.count_nonzero(self._rows[places] == _EMPTY))
            self._hashes[places] = hashes[winners]
            self._rows[places] = rows[winners]
            pending = np.setdiff1d(pending, winners, assume_unique=True)
            slots[pending] = (slots[pending] + 1) & mask
        self._count += len(hashes)

    def _rebuild(self, count: int) -> None:
        is_there = self._rows >= 0
        hashes, rows = self._hashes[is_there], self._rows[is_there]
        capacity = max(_SMALLEST, 1 << (4 * count - 1).bit_length())
        self._hashes = np.zeros(capacity, np.int64)
        self._rows = np.full(capacity, _EMPTY, np.int32)
        self._filled = self._count = 0
        self._insert(hashes, rows)


def _hashes_of(ids: Collection[str]) -> Rows:
    return np.fromiter(map(hash, ids), np.int64, len(ids))
