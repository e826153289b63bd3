"""One writer's stream as a reader knows it: how far it has been read, and what is missing on the way.

Belongs here: the bookkeeping, pure. Not here: listing and reading (see lakehouse/adapters/memory_follower.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class Gap:
    """Objects `first` to `last` are not here. `is_listed`: the store has it (one object), but does not give it."""

    first: int
    last: int
    since_s: float
    is_listed: bool = False


@dataclass(slots=True)
class Stream:
    """Attributes:
    writer: Whose it is.
    seen: The highest number that was listed.
    newest_at: When that object was written, by the store's clock; None when it was not seen.
    has_ended: Its writer will not go on with it.
    gaps: What is missing up to `seen`, in order.
    """

    writer: str
    seen: int = 0
    newest_at: datetime | None = None
    has_ended: bool = False
    gaps: list[Gap] = field(default_factory=list)

    @property
    def through(self) -> int:
        """Everything up to this number is applied, or known to be lost."""
        return self.gaps[0].first - 1 if self.gaps else self.seen

    def is_missing(self, seq: int) -> bool:
        """True for a number up to `seen` that was not read."""
        return any(gap.first <= seq <= gap.last for gap in self.gaps)

    def note(self, seq: int, now_s: float) -> None:
        """An object was listed that comes after all seen before."""
        if seq > self.seen + 1:
            self.gaps.append(Gap(self.seen + 1, seq - 1, now_s))
        self.seen = seq

    def fail(self, seq: int, now_s: float, *, is_listed: bool) -> None:
        """An object that was listed last could not be read."""
        if not self.is_missing(seq):
            self.gaps.append(Gap(seq, seq, now_s, is_listed))

    def heal(self, seq: int) -> None:
        """A missing object was read after all."""
        self._cut(seq, seq)

    def cover(self, through: int) -> None:
        """The folded rows have everything up to this number."""
        self.seen = max(self.seen, through)
        self._cut(0, through)

    def lost(self, now_s: float, *, after_s: float) -> list[Gap]:
        """The gaps whose time is over; an object that the store lists may always come back."""
        return [gap for gap in self.gaps if not gap.is_listed and now_s - gap.since_s >= after_s]

    def give_up(self, gap: Gap) -> None:
        """Go on without what is in a gap."""
        self._cut(gap.first, gap.last)

    def _cut(self, first: int, last: int) -> None:
        kept: list[Gap] = []
        for gap in self.gaps:
            if gap.last < first or gap.first > last:
                kept.append(gap)
                continue
            if gap.first < first:
                kept.append(Gap(gap.first, first - 1, gap.since_s, gap.is_listed))
            if gap.last > last:
                kept.append(Gap(last + 1, gap.last, gap.since_s, gap.is_listed))
        self.gaps = kept
