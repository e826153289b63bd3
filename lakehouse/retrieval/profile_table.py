"""Profiles of a corpus's answers as numbers: what a search reads of some fifty of them with a few steps over arrays.

An answer is known by its row. Of a profile the table has where its entries' vectors are and what they weigh, not the
vectors: those stand in the index of entries, and a hundred thousand profiles take some tens of megabytes.

Belongs here: putting, finding, dropping. Not here: what a profile is made of (see playbook_profiles.py), the vectors
(see playbook_index.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.retrieval.growing import GrowingArray

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]
Terms = NDArray[np.int32]
NO_TERM = -1
"""Stands first among the terms of every profile, so that none is without; no term has this number."""
_NOTHING = -1
_PROFILE = np.dtype(
    [
        ("made_at", "f8"), ("strength", "f4"), ("scale", "f4"), ("own", "f4"), ("entries", "i4"), ("first_entry", "i4"),
        ("terms", "i4"), ("first_term", "i4"), ("own_terms", "i4"),
    ]
)  # fmt: skip
# So much of what is kept may be of profiles that are gone before it is packed.
_LEAST_LEFT = 1 << 16
# Of so many rows it is kept that they have none: of a large corpus that would be nearly all.
_MOST_NOTHINGS = 1 << 17


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile, made.

    Attributes:
        made_at: When, seconds since 1970.
        strength: The worth of its entries together.
        scale: 1 over the length of the sum of its vectors.
        own: What the answer's own vector weighs in that sum, 0 where there is none.
        rows: Where the vectors of its entries are.
        weights: What each of these weighs.
        terms: Of the answer's text (the first `own_terms`, after `NO_TERM`) and of the entries' queries, no one twice.
    """

    made_at: float
    strength: float
    scale: float
    own: float
    rows: Sequence[int]
    weights: Sequence[float]
    terms: Sequence[int]
    own_terms: int


@dataclass(frozen=True, slots=True)
class Profiles:
    """Some profiles side by side: `of` has one record each, the others all that these have, one after the other."""

    of: NDArray[Any]
    rows: Rows
    weights: Floats
    first_rows: Rows
    terms: Terms
    first_terms: Rows


class ProfileTable:
    """The profiles of one corpus; one thread at a time."""

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}
        # Profiles that hold no more; the terms of a row's own text are read from there when it is made anew.
        self._outdated: dict[int, int] = {}
        self._free: list[int] = []
        self._records = GrowingArray(_PROFILE)
        self._rows, self._weights = GrowingArray(np.int64), GrowingArray(np.float32)
        self._terms = GrowingArray(np.int32)
        self._left = self._nothings = 0

    def slots_of(self, rows: Sequence[int]) -> list[int | None]:
        """Where the profiles of some rows are: -1 for a row that has none, None for one that nothing is known of."""
        return list(map(self._slots.get, rows))

    def put(self, row: int, profile: Profile | None) -> None:
        """Keep the profile of a row, or that it has none."""
        self.outdate(row)
        slot = self._outdated.pop(row, _NOTHING)
        if slot != _NOTHING:
            self._left += int(self._records.view()[slot]["terms"])
        if profile is None:
            if slot != _NOTHING:
                self._free.append(slot)
            self._put_nothing(row)
            return
        if slot == _NOTHING:
            slot = self._free.pop() if self._free else self._new_slot()
        self._records.view()[slot] = (
            profile.made_at, profile.strength, profile.scale, profile.own, len(profile.rows), len(self._rows),
            len(profile.terms), len(self._terms), profile.own_terms,
        )  # fmt: skip
        self._rows.append(np.array(profile.rows, np.int64))
        self._weights.append(np.array(profile.weights, np.float32))
        self._terms.append(np.array(profile.terms, np.int32))
        self._slots[row] = slot
        if self._left > max(_LEAST_LEFT, len(self._terms) // 2):
            self._pack()

    def outdate(self, row: int) -> None:
        """Say that what is known of a row holds no more."""
        slot = self._slots.pop(row, _NOTHING)
        if slot != _NOTHING:
            self._outdated[row] = slot

    def own_terms(self, row: int) -> list[int]:
        """The terms of a row's own text, where an outdated profile has them; empty otherwise."""
        slot = self._outdated.get(row, _NOTHING)
        if slot == _NOTHING:
            return []
        record = self._records.view()[slot]
        start = int(record["first_term"]) + 1
        terms: list[int] = self._terms.view(start, start + int(record["own_terms"])).tolist()
        return terms

    def gather(self, slots: NDArray[np.int64]) -> Profiles:
        """Some profiles, one at least, each of which has an entry."""
        records = self._records.view()[slots]
        rows, first_rows = _spans(records["first_entry"], records["entries"])
        terms, first_terms = _spans(records["first_term"], records["terms"])
        return Profiles(
            records,
            self._rows.view()[rows],
            self._weights.view()[rows],
            first_rows,
            self._terms.view()[terms],
            first_terms,
        )

    def _put_nothing(self, row: int) -> None:
        if self._nothings >= _MOST_NOTHINGS:  # to find out again takes a microsecond a row
            self._slots = {row: slot for row, slot in self._slots.items() if slot != _NOTHING}
            self._nothings = 0
        self._slots[row] = _NOTHING
        self._nothings += 1

    def _new_slot(self) -> int:
        self._records.append(np.zeros(1, _PROFILE))
        return len(self._records) - 1

    def _pack(self) -> None:
        """Leave behind what no profile has any more; outdated ones go."""
        known = {row: slot for row, slot in self._slots.items() if slot != _NOTHING}
        kept = self.gather(np.array(list(known.values()), np.int64))
        records = kept.of.copy()
        records["first_entry"], records["first_term"] = kept.first_rows, kept.first_terms
        self._slots.update(zip(known, range(len(known)), strict=True))
        self._outdated, self._free, self._left = {}, [], 0
        for array, values in (
            (self._records, records), (self._rows, kept.rows), (self._weights, kept.weights), (self._terms, kept.terms)
        ):  # fmt: skip
            array.adopt(values)


def _spans(firsts: NDArray[np.int32], counts: NDArray[np.int32]) -> tuple[Rows, Rows]:
    """The numbers of all spans one after the other, and where each span begins among them."""
    ends = counts.cumsum(dtype=np.int64)
    begins = np.asarray(ends - counts, np.int64)
    return np.repeat(firsts - begins, counts) + np.arange(int(ends[-1])), begins
