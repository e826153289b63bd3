"""Immutable pieces of a text index: which rows have a term, how often, and so what it is worth there.

A weight is worked out when it is asked for: that takes 2 ns, and keeping it a fifth of the index.

Belongs here: postings, their weights, merging and rows to come. Not here: queries (see text_index.py), tokens
(see tokens.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_MAX_COUNT = np.iinfo(np.uint16).max


@dataclass(frozen=True, slots=True)
class Saturation:
    """How a count becomes a weight in [0, 1): `count / (count + k1 (1 − b + b length / average_length))`.

    Source: BM25 as Lucene computes it (BM25Similarity); Robertson & Zaragoza 2009, The Probabilistic Relevance
    Framework, section 3.
    """

    k1: float
    b: float
    average_length: float

    def norms(self, lengths: NDArray[np.uint32]) -> NDArray[np.float32]:
        """What a count is divided by, beside itself, in a text of each length."""
        norms = self.k1 * (1 - self.b) + self.k1 * self.b / self.average_length * lengths.astype(np.float32)
        return norms.astype(np.float32)


def weights_of(counts: NDArray[np.uint16], norms: NDArray[np.float32]) -> NDArray[np.float32]:
    """The weight of each count in a text with that norm."""
    values = counts.astype(np.float32)
    weights: NDArray[np.float32] = values / (values + norms)
    return weights


class Postings(NamedTuple):
    """Where a term stands: rows in ascending order, its count in each, and the largest of its weights.

    `norms` are those of the rows from `first_row` on.
    """

    rows: NDArray[np.int32]
    counts: NDArray[np.uint16]
    norms: NDArray[np.float32]
    first_row: int
    max_weight: float

    def weights(self) -> NDArray[np.float32]:
        """The weight in each row."""
        return weights_of(self.counts, self._norms_of(self.rows))

    def weights_at(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """The weights at some places of `rows`."""
        return weights_of(self.counts[places], self._norms_of(self.rows[places]))

    def _norms_of(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        return self.norms.take(rows - self.first_row if self.first_row else rows)


@dataclass(frozen=True, slots=True)
class Segment:
    """The postings of consecutive rows, sorted by term, then row.

    `lengths` and `norms` are of each row from `first_row` on; `terms` has the distinct ones in ascending order, and the
    postings of `terms[i]` are at `starts[i]` to `starts[i + 1]` of `rows` and `counts`.
    """

    first_row: int
    lengths: NDArray[np.uint32]
    norms: NDArray[np.float32]
    terms: NDArray[np.int32]
    starts: NDArray[np.int64]
    rows: NDArray[np.int32]
    counts: NDArray[np.uint16]
    max_weights: NDArray[np.float32]

    def postings(self, term: int) -> Postings | None:
        """Those of a term, or nothing when no row has it."""
        at = int(np.searchsorted(self.terms, term))
        if at == len(self.terms) or self.terms[at] != term:
            return None
        span = slice(int(self.starts[at]), int(self.starts[at + 1]))
        return Postings(self.rows[span], self.counts[span], self.norms, self.first_row, float(self.max_weights[at]))

    @property
    def bytes(self) -> int:
        """Memory of the arrays."""
        arrays = (self.lengths, self.terms, self.starts, self.rows, self.counts, self.norms, self.max_weights)
        return sum(array.nbytes for array in arrays)


def build_segment(
    first_row: int, lengths: NDArray[np.int64], terms: NDArray[np.int32], saturation: Saturation
) -> Segment:
    """Count the terms of consecutive rows.

    Args:
        first_row: Number of the first.
        lengths: Terms of each row.
        terms: The terms, row by row.
        saturation: Gives the weights.
    """
    local = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
    pairs, counts = np.unique(terms.astype(np.int64) * max(1, len(lengths)) + local, return_counts=True)
    of_pair, row = np.divmod(pairs, max(1, len(lengths)))
    small = np.minimum(counts, _MAX_COUNT).astype(np.uint16)
    rows = (row + first_row).astype(np.int32)
    return _assemble(first_row, lengths.astype(np.uint32), of_pair.astype(np.int32), (rows, small), saturation)


def merge_segments(segments: Sequence[Segment], saturation: Saturation) -> Segment:
    """One segment with the rows of several that follow each other."""
    first = segments[0].first_row
    terms = np.concatenate([np.repeat(s.terms, np.diff(s.starts)) for s in segments])
    order = np.argsort(terms, kind="stable")
    rows = np.concatenate([s.rows for s in segments])[order]
    counts = np.concatenate([s.counts for s in segments])[order]
    return _assemble(first, np.concatenate([s.lengths for s in segments]), terms[order], (rows, counts), saturation)


def reweigh(segment: Segment, saturation: Saturation) -> Segment:
    """The same postings weighed anew."""
    terms = np.repeat(segment.terms, np.diff(segment.starts))
    return _assemble(segment.first_row, segment.lengths, terms, (segment.rows, segment.counts), saturation)


def _assemble(
    first_row: int,
    lengths: NDArray[np.uint32],
    terms: NDArray[np.int32],
    places: tuple[NDArray[np.int32], NDArray[np.uint16]],
    saturation: Saturation,
) -> Segment:
    rows, counts = places
    firsts = np.flatnonzero(np.diff(terms, prepend=-1))
    starts = np.append(firsts, len(terms)).astype(np.int64)
    norms = saturation.norms(lengths)
    weights = weights_of(counts, norms[rows - first_row])
    most = np.maximum.reduceat(weights, firsts) if len(firsts) else np.empty(0, np.float32)
    return Segment(first_row, lengths, norms, terms[firsts], starts, rows, counts, most)


@dataclass(slots=True)
class Tail:
    """The newest rows, in lists that grow; a reader says how many rows it knows of.

    Rows are only ever appended, so a reader beside the writer is safe as long as it looks at no row beyond.
    """

    first_row: int
    lengths: list[int] = field(default_factory=list)
    terms: list[int] = field(default_factory=list)
    _places: dict[int, tuple[list[int], list[int]]] = field(default_factory=dict)

    def append(self, terms: Sequence[int]) -> None:
        """Add a row with these terms."""
        row = self.first_row + len(self.lengths)
        counts: dict[int, int] = {}
        for term in terms:
            counts[term] = counts.get(term, 0) + 1
        self.lengths.append(len(terms))
        self.terms.extend(terms)
        for term, count in counts.items():
            rows, row_counts = self._places.setdefault(term, ([], []))
            # The count first: a reader that sees the row finds its count.
            row_counts.append(min(count, _MAX_COUNT))
            rows.append(row)

    def postings(self, term: int, end_row: int, saturation: Saturation) -> Postings | None:
        """Those of a term in the rows before `end_row`."""
        rows, counts = self._places.get(term, ([], []))
        found = np.array(rows, np.int32)
        found = found[: np.searchsorted(found, end_row)]
        if not len(found):
            return None
        norms = saturation.norms(np.array(self.lengths, np.uint32))
        known = np.array(counts[: len(found)], np.uint16)
        most = float(weights_of(known, norms[found - self.first_row]).max())
        return Postings(found, known, norms, self.first_row, most)

    def seal(self, saturation: Saturation) -> Segment:
        """The rows as a segment."""
        lengths = np.array(self.lengths, np.int64)
        return build_segment(self.first_row, lengths, np.array(self.terms, np.int32), saturation)
