"""Profiles of a corpus's answers in arrays, so that a search reads some fifty of them with a few numpy calls.

An answer is known by its row. For each profile the table has the rows and weights of its entries' vectors; the vectors
themselves stay in the index of entries, so that a hundred thousand profiles take some tens of megabytes.

Belongs here: putting, finding, dropping. Not here: what a profile is made of (see playbook_profiles.py), the vectors
(see playbook_index.py), which row has which (see row_slots.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from lakehouse.retrieval.growing import GrowingArray
from lakehouse.retrieval.row_slots import NOTHING, UNKNOWN, RowSlots, Slots
from lakehouse.retrieval.term_numbers import NO_TERM, Terms

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]
_PROFILE = np.dtype(
    [
        ("made_at", "f8"), ("strength", "f4"), ("scale", "f4"), ("own", "f4"), ("entries", "i4"), ("first_entry", "i4"),
        ("terms", "i4"), ("first_term", "i4"), ("own_terms", "i4"),
    ]
)  # fmt: skip
# Terms of dropped profiles that may be left in the arrays before these are packed.
_LEAST_LEFT = 1 << 16


class Profile(msgspec.Struct, frozen=True, eq=False):
    """One profile, made.

    Attributes:
        made_at: When, seconds since 1970.
        strength: The worth of its entries together.
        scale: 1 over the length of the sum of its vectors.
        own: What the answer's own vector weighs in that sum, 0 where there is none.
        rows: Where the vectors of its entries are.
        weights: What each of these weighs.
        terms: Numbers of those of the answer's text (the first `own_terms`) and of the entries' queries, no one twice.
        own_terms: How many are of the answer's text.
    """

    made_at: float
    strength: float
    scale: float
    own: float
    rows: Rows
    weights: Floats
    terms: Sequence[int]
    own_terms: int


class Earlier(msgspec.Struct, frozen=True, eq=False):
    """What an outdated profile was made of: rows of entries, terms as in `Profile`."""

    rows: Sequence[int]
    terms: list[int]
    own_terms: int


@dataclass(frozen=True, slots=True)
class Profiles:
    """Some profiles side by side: `of` has one record each, the other arrays hold their rows and terms in sequence.

    The terms of each begin with `NO_TERM`, so that no profile's span of terms is empty.
    """

    of: NDArray[Any]
    rows: Rows
    weights: Floats
    first_rows: Rows
    terms: Terms
    first_terms: Rows


class ProfileTable:
    """The profiles of one corpus; one thread at a time."""

    def __init__(self) -> None:
        self._slots = RowSlots()
        # Slots of outdated profiles by row; a new profile of the row is made from the old one.
        self._outdated: dict[int, int] = {}
        self._free: list[int] = []
        self._records = GrowingArray(_PROFILE)
        self._rows, self._weights = GrowingArray(np.int64), GrowingArray(np.float32)
        self._terms = GrowingArray(np.int32)
        self._left = 0

    def slots_of(self, rows: Rows) -> Slots:
        """Where the profiles of some rows are, until `tidy`: `NOTHING` for a row without, `UNKNOWN` for another."""
        return self._slots.of(rows)

    def put_nothing(self, rows: Rows) -> None:
        """Remember that some rows, which `slots_of` does not know, have no profile."""
        for row in self._outdated.keys() & rows.tolist() if self._outdated else ():
            slot = self._outdated.pop(row)
            self._left += self._records.view()["terms"].item(slot)
            self._free.append(slot)
        self._slots.put_nothing(rows)

    def put(self, row: int, profile: Profile) -> int:
        """Keep the profile of a row; returns its slot, as `slots_of` would."""
        self.outdate(row)
        slot = self._outdated.pop(row, NOTHING)
        if slot != NOTHING:
            self._left += self._records.view()["terms"].item(slot)
        else:
            slot = self._free.pop() if self._free else self._new_slot()
        self._records.view()[slot] = (
            profile.made_at, profile.strength, profile.scale, profile.own, len(profile.rows), len(self._rows),
            len(profile.terms) + 1, len(self._terms), profile.own_terms,
        )  # fmt: skip
        self._rows.append(profile.rows)
        self._weights.append(profile.weights)
        self._terms.append(np.array([NO_TERM, *profile.terms], np.int32))
        replaced = self._slots.put(row, slot)
        if replaced is not None:
            self._outdated[replaced[0]] = replaced[1]
        return slot

    def outdate(self, row: int) -> None:
        """Mark what is known of a row as outdated."""
        slot = self._slots.get(row)
        if slot != UNKNOWN:
            self._slots.forget(row)
        if slot >= 0:
            self._outdated[row] = slot

    def earlier(self, row: int) -> Earlier | None:
        """What the outdated profile of a row was made of, where there is one."""
        slot = self._outdated.get(row, NOTHING)
        if slot == NOTHING:
            return None
        _, _, _, _, entries, first_entry, terms, first_term, own_terms = self._records.view()[slot].item()
        return Earlier(
            self._rows.view(first_entry, first_entry + entries).tolist(),
            self._terms.view(first_term + 1, first_term + terms).tolist(),
            own_terms,
        )

    def gather(self, slots: Slots) -> Profiles:
        """Some profiles, each of which has an entry."""
        records = self._records.view().take(slots)
        rows, first_rows = _spans(records["first_entry"], records["entries"])
        terms, first_terms = _spans(records["first_term"], records["terms"])
        return Profiles(
            records,
            self._rows.view().take(rows),
            self._weights.view().take(rows),
            first_rows,
            self._terms.view().take(terms),
            first_terms,
        )

    def tidy(self) -> None:
        """Pack the arrays once much in them belongs to no profile any more; outdated profiles are dropped."""
        if self._left <= max(_LEAST_LEFT, len(self._terms) // 2):
            return
        kept = self.gather(self._slots.renumber())
        records = kept.of.copy()
        records["first_entry"], records["first_term"] = kept.first_rows, kept.first_terms
        self._outdated, self._free, self._left = {}, [], 0
        for array, values in (
            (self._records, records), (self._rows, kept.rows), (self._weights, kept.weights), (self._terms, kept.terms)
        ):  # fmt: skip
            array.adopt(values)

    def _new_slot(self) -> int:
        self._records.append(np.zeros(1, _PROFILE))
        return len(self._records) - 1


def _spans(firsts: NDArray[np.int32], counts: NDArray[np.int32]) -> tuple[Rows, Rows]:
    """The indexes of all spans in sequence, and where each span begins among them."""
    ends = counts.cumsum(dtype=np.int64)
    begins = np.asarray(ends - counts, np.int64)
    starts: Rows = firsts - begins
    numbers = starts.repeat(counts)
    numbers += np.arange(len(numbers))
    return numbers, begins
