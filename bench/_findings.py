"""Findings held against those that people wrote: pairs of what is the same, precision and recall (see reviews.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

F = TypeVar("F")
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Match:
    """Findings held against what was expected.

    Attributes:
        pairs: Places in both lists of what is the same.
        found: How many findings there are.
        expected: How many were expected.
    """

    pairs: tuple[tuple[int, int], ...]
    found: int
    expected: int

    @property
    def precision(self) -> float:
        """Share of the findings that are the same as an expected one; 0 where there is none."""
        return len({one for one, _ in self.pairs}) / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of the expected that were found; 0 where there is none."""
        return len({one for _, one in self.pairs}) / self.expected if self.expected else 0.0


def match(found: Sequence[F], expected: Sequence[E], is_same: Callable[[F, E], bool]) -> Match:
    """Hold findings against what was expected.

    Args:
        found: The findings.
        expected: What people found, or what another reviewer did.
        is_same: Whether both say the same.
    """
    pairs = tuple((at, of) for at, one in enumerate(found) for of, other in enumerate(expected) if is_same(one, other))
    return Match(pairs, len(found), len(expected))
