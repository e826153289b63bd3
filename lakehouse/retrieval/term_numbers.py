"""Terms as numbers, and what share of a query's terms some texts have.

Words are told apart by 31 bits of Python's hash, which is keyed anew in each process. In one of 100,000 searches a word
of the query is taken for one of two thousand others, which changes one likeness a little.

Belongs here: from words to numbers, coverage. Not here: what a term is (see tokens.py), whose terms these are (see
playbook_profiles.py).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lakehouse.retrieval.tokens import MAX_TERM_CHARS, term_of, words_of

Terms = NDArray[np.int32]
NO_TERM = -1
"""The number of a stop word; no term has it."""
_TERM_BITS = (1 << 31) - 1
_KNOWN_WORDS = 1 << 13
_LOWEST = (1 << 13) - 1


def number_of(term: str) -> int:
    """The number of a term, from 0 to 2³¹ − 1."""
    return hash(term) & _TERM_BITS


class _Known(dict[str, int]):
    """The numbers of the words met lately: most words of a text have been met before."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _KNOWN_WORDS:
            self.clear()
        term = term_of(word)
        number = number_of(term) if term else NO_TERM
        if len(word) <= MAX_TERM_CHARS:
            self[word] = number
        return number


_KNOWN = _Known()


def numbers_of(text: str) -> set[int]:
    """The numbers of a text's terms."""
    numbers = set(map(_KNOWN.__getitem__, words_of(text)))
    numbers.discard(NO_TERM)
    return numbers


def coverage(terms: Terms, firsts: NDArray[np.int64], term_weights: Mapping[str, float]) -> NDArray[np.float32]:
    """The share of the weight of a query's terms that each of some texts has.

    Args:
        terms: Numbers of the terms of one text after the other, none twice in a text.
        firsts: (n,) where those of each text begin, ascending; every text has one at least, if only `NO_TERM`.
        term_weights: The query's terms, one at least, and what each weighs.

    Returns:
        (n,) from 0 to 1.
    """
    count = len(term_weights)
    keys = np.array([hash(term) & _TERM_BITS for term in term_weights], np.int32)
    shares = np.fromiter(term_weights.values(), np.float32, count)
    shares /= np.float32(sum(term_weights.values()))
    lowest = keys & _LOWEST
    if len(set(lowest.tolist())) == count:
        # A small hash table, in which the query's terms nearly always have places of their own: one lookup finds
        # matches.
        key_at, share_at = np.zeros(_LOWEST + 1, np.int32), np.zeros(_LOWEST + 1, np.float32)
        key_at[lowest], share_at[lowest] = keys, shares
        theirs = terms & _LOWEST
        at = (key_at.take(theirs) == terms).nonzero()[0]
        weights = share_at.take(theirs.take(at))
    else:
        order = keys.argsort()
        keys, shares = keys[order], shares[order]
        which = np.minimum(keys.searchsorted(terms), count - 1)
        at = (keys[which] == terms).nonzero()[0]
        weights = shares[which[at]]
    owners = firsts.searchsorted(at, side="right") - 1
    return np.bincount(owners, weights, len(firsts)).astype(np.float32)
