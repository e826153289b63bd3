"""Whether two contents say the same: the junk that fills a memory is what it knows already in slightly other words.

Embeddings hardly tell `worker 1017` from `worker 1018`, or `do` from `do not`: words decide. The same numbers, ids and
words that turn a meaning around must stand in both, and nine of ten of the others.

Belongs here: the rule, and where to look for what may pass it. Not here: what becomes of it (see desk.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import numpy as np

# Share of the words of both that both have: one word of ten may be another one.
LEAST_SHARED = 0.9
_BANDS, _ROWS = 4, 3
_RNG = np.random.default_rng(20240601)
_FACTORS = _RNG.integers(1, 2**63, (_BANDS * _ROWS, 1), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_SHIFTS = _RNG.integers(0, 2**63, (_BANDS * _ROWS, 1), dtype=np.uint64)
# Of those that share a band the newest are looked at.
_BUCKET = 8
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_TURNS = frozenset(
    """
    no not never none cannot can't don't didn't won't isn't wasn't without unless except before after until more less
    above below accept accepted reject rejected pass passed fail failed true false yes approve approved deny denied
    success failure allowed forbidden must may on off up down in out min max least most
    """.split()  # noqa: SIM905 - words to read, not items to count
)


class Wording:
    """The words of a text, and the bands of a MinHash over them, for this process alone.

    Texts that share nine of ten words have a band in common with a probability of 0.96, or more where they share more
    (Broder 1997; banding: Leskovec, Rajaraman & Ullman, Mining of Massive Datasets, 3.4).
    """

    __slots__ = ("_keys", "_words")

    def __init__(self, text: str) -> None:
        self._words = Counter(_WORD.findall(text.casefold()))
        fixed = frozenset(filter(_is_fixed, self._words))
        loose = self._words.keys() - fixed
        if len(loose) < 2:  # too few for a share of them to mean anything
            self._keys: tuple[int, ...] = (hash((fixed, frozenset(loose))),)
            return
        hashes = np.fromiter(map(hash, loose), np.int64, len(loose)).view(np.uint64)
        least = (hashes * _FACTORS + _SHIFTS).min(axis=1).reshape(_BANDS, _ROWS).tolist()
        self._keys = tuple(hash((band, *rows, fixed)) for band, rows in enumerate(least))

    @property
    def keys(self) -> tuple[int, ...]:
        """Two wordings that are near have one of these in common, nearly always."""
        return self._keys

    def shared_with(self, other: Wording) -> float:
        """Share of the words of both that both have; 0 where a fixed one differs."""
        words, others = self._words, other._words
        if any(map(_is_fixed, (words - others) + (others - words))):
            return 0.0
        most = max(words.total(), others.total())
        return (words & others).total() / most if most else 0.0


class NearWordings:
    """Which texts may be near a given one; one thread writes, any number read."""

    def __init__(self) -> None:
        self._buckets: dict[int, tuple[str, ...]] = {}

    def add(self, uid: str, wording: Wording) -> None:
        """A trace says this."""
        for key in wording.keys:
            self._buckets[key] = (*self._buckets.get(key, ())[1 - _BUCKET :], uid)

    def drop(self, uid: str, wording: Wording) -> None:
        """It does not say this any more."""
        for key in wording.keys:
            left = tuple(u for u in self._buckets.get(key, ()) if u != uid)
            if left:
                self._buckets[key] = left
            else:
                self._buckets.pop(key, None)

    def candidates(self, wording: Wording) -> Iterator[str]:
        """The uids of texts that share a band, each once, newest first."""
        seen: set[str] = set()
        for key in wording.keys:
            for uid in reversed(self._buckets.get(key, ())):
                if uid not in seen:
                    seen.add(uid)
                    yield uid


def is_near(one: str, other: str) -> bool:
    """Whether two texts say the same but for case, punctuation and a word in ten."""
    return Wording(one).shared_with(Wording(other)) >= LEAST_SHARED


def _is_fixed(word: str) -> bool:
    return word in _TURNS or (not word.isalpha() and any(c.isdigit() for c in word))
