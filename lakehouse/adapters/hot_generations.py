"""Where a row of a hot index is after compactions: its number belongs to a generation of rows and a place in it.

Belongs here: generations that were left, where their rows went. Not here: rows (see hot_rows.py), when a generation is
left (see hot_upkeep.py).
"""

from __future__ import annotations

import weakref
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from lakehouse.errors import NotFound

Rows = NDArray[np.int64]


class Numbered(Protocol):
    """One generation of rows."""

    @property
    def first(self) -> int: ...

    def has_rows(self, numbers: Rows) -> bool: ...


Generation = TypeVar("Generation", bound=Numbered)


class Generations(Generic[Generation]):
    """The generations before the one that searches begin with.

    A generation is known for as long as a selection keeps it; of the last one it stays known where its rows went.
    """

    def __init__(self) -> None:
        self._earlier: list[weakref.ref[Any]] = []
        self._moved: tuple[int, Rows] = (0, np.empty(0, np.int64))

    def leave(self, old: Generation, moved: Rows) -> None:
        """Note that a generation was left; `moved` are the numbers that its rows have now (see `HotRows.catch_up`)."""
        self._earlier = [ref for ref in self._earlier if ref() is not None] + [weakref.ref(old)]
        self._moved = (old.first, moved)

    def find(self, current: Generation, rows: Rows) -> tuple[Generation, Rows]:
        """The generation of some rows, and where they are in it.

        Args:
            current: The generation that searches begin with.
            rows: Public numbers.

        Raises:
            NotFound: One of them is gone.
        """
        numbers = np.asarray(rows, np.int64)
        if not len(numbers) or current.has_rows(numbers):
            return current, numbers - current.first if current.first else numbers
        for earlier in [ref() for ref in self._earlier]:
            if earlier is not None and earlier.has_rows(numbers):
                return earlier, numbers - earlier.first
        first, moved = self._moved
        was = (first <= numbers) & (numbers < first + len(moved))
        now = numbers.copy()
        now[was] = moved[numbers[was] - first]
        if not current.has_rows(now):
            raise NotFound(f"rows {numbers[:3].tolist()} … are gone; rows are good while their selection is kept")
        return current, now - current.first
