"""BM25 over texts in memory: rows are appended, found at once, and scored by whole-index statistics.

Belongs here: the index of one text column, its queries, its file. Not here: which rows live (see
lakehouse/adapters/hot_index.py), what a term is (see tokens.py), how postings are kept (see text_segment.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakehouse.errors import BadInput
from lakehouse.retrieval.text_ranking import (
    Clause,
    add,
    best_among,
    best_of,
    clause_of,
    contenders,
    is_cheap,
    look_up,
    rarity,
)
from lakehouse.retrieval.text_segment import Postings, Saturation, Segment, Tail, build_segment, merge_segments, reweigh
from lakehouse.retrieval.tokens import Tokens, terms_of, tokenize

FORMAT_VERSION = 1
K1 = 0.9
B = 0.4
# Most terms of a query that are used, the rarest first; further ones would take time and change little.
MAX_QUERY_TERMS = 1024
TAIL_ROWS = 1024
# More rows at once become a segment of their own, which is quicker to search than the tail.
_FEW_ROWS = 64
_SLICE_ROWS = 65_536
# A segment is merged with the one before it once it has a quarter of its rows.
_MERGE_RATIO = 4
# The average length used is renewed when the true one has moved by so much.
_DRIFT = 0.01


@dataclass(frozen=True, slots=True)
class _State:
    """What a query sees; replaced as a whole, so that readers beside the one writer see whole appends."""

    segments: tuple[Segment, ...]
    tail: Tail
    rows: int
    filled_rows: int
    tokens: int
    saturation: Saturation


class TextIndex:
    """BM25 with the weights of Lucene: `Σ ln(1 + (N − df + ½) / (df + ½)) · tf / (tf + k1 (1 − b + b · dl / avgdl))`.

    N (rows that have a term), df and avgdl are those of the whole index, whatever it was appended in; avgdl is renewed
    when it has moved by 1 %. Rows are never deleted: a caller masks them, and builds a new index to be rid of them.
    One thread may append while others ask.

    Args:
        k1: How soon more of the same term stops counting.
        b: How much a long text is discounted, 0 to 1.
        tail_rows: So many of the newest rows are held in a form that is cheap to append to.

    Source: Lucene's BM25Similarity; defaults from Anserini's baselines (Yang, Fang & Lin 2017). Pruning by bounds:
    Turtle & Flood 1995, Query evaluation: strategies and optimizations (MaxScore).
    """

    def __init__(self, *, k1: float = K1, b: float = B, tail_rows: int = TAIL_ROWS) -> None:
        self._tail_rows = tail_rows
        self._vocabulary: dict[str, int] = {}
        self._state = _State((), Tail(0), 0, 0, 0, Saturation(k1, b, 1.0))
        self._rarities: tuple[_State, dict[str, float]] = (self._state, {})

    def __len__(self) -> int:
        return self._state.rows

    def append(self, texts: pa.Array | pa.ChunkedArray | Sequence[str | None]) -> None:
        """Add rows, numbered on from the current length; null or empty text is a row that no query finds."""
        if len(texts) <= min(_FEW_ROWS, self._tail_rows):
            self._append_few(tokenize(texts))
            return
        for start in range(0, len(texts), _SLICE_ROWS):
            part = texts[start : start + _SLICE_ROWS]
            self._append_many(tokenize(part))

    def scores(self, query: str) -> NDArray[np.float32]:
        """The score of every row, 0 where no term of the query stands."""
        state = self._state
        scores = np.zeros(state.rows, np.float32)
        for clause in self._clauses(query, state):
            add(clause, scores)
        return scores

    def scores_of(self, query: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The scores of some rows, in their order.

        Args:
            query: Any text.
            rows: Row numbers, in any order.
        """
        state = self._state
        _check_rows(rows, state.rows)
        scores = np.zeros(len(rows), np.float32)
        for clause in self._clauses(query, state):
            look_up(clause, rows, scores)
        return scores

    def term_weights(self, query: str) -> dict[str, float]:
        """The terms of a query and how rare each is: `ln(1 + (N − df + ½) / (df + ½))`, unknown ones the rarest."""
        state = self._state
        of_state, known = self._rarities
        if of_state is not state:
            self._rarities = (state, known := {})
        weights = {}
        for term in dict.fromkeys(terms_of(query)):
            weight = known.get(term)
            if weight is None:
                number = self._vocabulary.get(term)
                rows = 0 if number is None else sum(len(p.rows) for p in _postings(number, state))
                weight = rarity(rows, state.filled_rows)
                if number is not None:  # unknown terms are not cached, which bounds the cache by the vocabulary
                    known[term] = weight
            weights[term] = weight
        return weights

    def top(
        self, query: str, k: int, mask: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The best rows of those that have a term of the query.

        Args:
            query: Any text.
            k: How many at most, 1 or more.
            mask: True for rows that may come back; one bool a row, rows beyond its end may not.

        Returns:
            Rows and scores, best first, the lower row first where scores are equal.
        """
        state = self._state
        clauses = self._clauses(query, state)
        allowed = np.flatnonzero(mask[: state.rows]) if mask is not None else None
        if not clauses:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if allowed is not None and is_cheap(len(allowed), clauses):
            return best_among(allowed, np.zeros(len(allowed), np.float32), clauses, k)
        scores = np.zeros(state.rows, np.float32)
        bounds = np.cumsum([0.0, *(clause.bound for clause in reversed(clauses))])[::-1]
        for number, clause in enumerate(clauses):
            rest = clauses[number:]
            # Looking up single rows pays when the remaining lists are long and cannot lift an unseen row among the
            # best.
            if number and sum(c.rows for c in rest) > state.rows:
                rows = contenders(scores, allowed, k, remaining=float(bounds[number]))
                if rows is not None and is_cheap(len(rows), rest):
                    return best_among(rows, scores[rows], rest, k)
            add(clause, scores)
        rows = contenders(scores, allowed, k, remaining=0.0)
        rows = (np.arange(state.rows) if allowed is None else allowed) if rows is None else rows
        return best_of(rows, scores[rows], k)

    def stats(self) -> dict[str, int | float]:
        """Counts and memory, for metrics: rows, terms, tokens, segments, bytes, average_length."""
        state = self._state
        # A string of ASCII takes 49 bytes and its characters; an entry of a dictionary about 100 with its key's number.
        words = sum(map(len, tuple(self._vocabulary))) + 150 * len(self._vocabulary)
        tail = 8 * len(state.tail.terms) + 24 * sum(state.tail.lengths)
        return {
            "rows": state.rows,
            "terms": len(self._vocabulary),
            "tokens": state.tokens,
            "segments": len(state.segments) + bool(state.tail.lengths),
            "bytes": sum(segment.bytes for segment in state.segments) + words + tail,
            "average_length": state.saturation.average_length,
        }

    def save(self, folder: Path) -> None:
        """Write the index into a folder that exists; nobody may append meanwhile."""
        state = self._state
        pieces = [*state.segments, state.tail.seal(state.saturation)]
        whole = merge_segments(pieces, state.saturation)
        words = pa.table({"term": pa.array(list(self._vocabulary), pa.string())})
        with pa.OSFile(str(folder / "terms.arrow"), "wb") as sink, pa.ipc.new_file(sink, words.schema) as writer:
            writer.write_table(words)
        head = np.array([FORMAT_VERSION, state.filled_rows, state.tokens], np.int64)
        parameters = np.array([state.saturation.k1, state.saturation.b, state.saturation.average_length])
        np.savez(
            folder / "postings.npz", head=head, parameters=parameters, lengths=whole.lengths, terms=whole.terms,
            starts=whole.starts, rows=whole.rows, counts=whole.counts,
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path) -> TextIndex:
        """Read what `save` wrote.

        Raises:
            BadInput: The files are not there, or of another format; build the index from its texts.
        """
        try:
            with np.load(folder / "postings.npz") as file:
                arrays: dict[str, NDArray[Any]] = dict(file)
            with pa.OSFile(str(folder / "terms.arrow")) as source:
                words = pa.ipc.open_file(source).read_all()["term"].to_pylist()
            version, filled, tokens = (int(value) for value in arrays["head"])
            k1, b, average = (float(value) for value in arrays["parameters"])
        except (OSError, ValueError, KeyError, EOFError, pa.ArrowException) as error:
            raise BadInput(f"{folder} holds no text index ({error}); build it from the texts") from error
        if version != FORMAT_VERSION:
            raise BadInput(f"{folder} holds a text index of format {version}, this reads {FORMAT_VERSION}; rebuild it")
        index = cls(k1=k1, b=b)
        index._vocabulary = {word: number for number, word in enumerate(words)}
        saturation = Saturation(k1, b, average)
        bare = Segment(
            0, arrays["lengths"], np.empty(0, np.float32), arrays["terms"], arrays["starts"], arrays["rows"],
            arrays["counts"], np.empty(0, np.float32),
        )  # fmt: skip
        rows = len(bare.lengths)
        index._state = _State((reweigh(bare, saturation),), Tail(rows), rows, filled, tokens, saturation)
        return index

    def _append_few(self, tokens: Tokens) -> None:
        state = self._state
        numbers = self._numbers(tokens)
        ends = np.cumsum(tokens.counts)
        for start, end in zip(ends - tokens.counts, ends, strict=True):
            state.tail.append(numbers[start:end].tolist())
        grown = self._grown(state, tokens.counts)
        self._state = self._sealed(grown) if len(grown.tail.lengths) >= self._tail_rows else grown

    def _append_many(self, tokens: Tokens) -> None:
        state = self._sealed(self._state)
        state_after = self._grown(state, tokens.counts)
        segment = build_segment(state.rows, tokens.counts, self._numbers(tokens), state_after.saturation)
        segments = _tiered((*state_after.segments, segment), state_after.saturation)
        self._state = replace(state_after, segments=segments, tail=Tail(state_after.rows))

    def _numbers(self, tokens: Tokens) -> NDArray[np.int32]:
        known = self._vocabulary
        return np.array([known.setdefault(term, len(known)) for term in tokens.vocabulary], np.int32)[tokens.terms]

    @staticmethod
    def _grown(state: _State, counts: NDArray[np.int64]) -> _State:
        filled = state.filled_rows + int(np.count_nonzero(counts))
        tokens = state.tokens + int(counts.sum())
        average = tokens / filled if filled else 1.0
        grown = replace(state, rows=state.rows + len(counts), filled_rows=filled, tokens=tokens)
        if abs(average / state.saturation.average_length - 1) <= _DRIFT:
            return grown
        saturation = replace(state.saturation, average_length=average)
        segments = tuple(reweigh(segment, saturation) for segment in state.segments)
        return replace(grown, segments=segments, saturation=saturation)

    @staticmethod
    def _sealed(state: _State) -> _State:
        if not state.tail.lengths:
            return state
        segments = _tiered((*state.segments, state.tail.seal(state.saturation)), state.saturation)
        return replace(state, segments=segments, tail=Tail(state.rows))

    def _clauses(self, query: str, state: _State) -> list[Clause]:
        """The terms of a query that some row has, those that can add most first."""
        wanted = Counter(number for term in terms_of(query) if (number := self._vocabulary.get(term)) is not None)
        found = ((times, tuple(_postings(term, state))) for term, times in wanted.items())
        clauses = [clause_of(times, postings, rows=state.filled_rows) for times, postings in found if postings]
        clauses.sort(key=lambda clause: -clause.bound)
        return clauses[:MAX_QUERY_TERMS]


def _postings(term: int, state: _State) -> Iterator[Postings]:
    for segment in state.segments:
        if (postings := segment.postings(term)) is not None:
            yield postings
    if (postings := state.tail.postings(term, state.rows, state.saturation)) is not None:
        yield postings


def _tiered(segments: tuple[Segment, ...], saturation: Saturation) -> tuple[Segment, ...]:
    while len(segments) > 1 and _MERGE_RATIO * len(segments[-1].lengths) >= len(segments[-2].lengths):
        segments = (*segments[:-2], merge_segments(segments[-2:], saturation))
    return segments


def _check_rows(rows: NDArray[np.int64], count: int) -> None:
    if len(rows) and not (rows.min() >= 0 and rows.max() < count):
        raise BadInput(f"rows run from 0 to {count - 1}; {int(rows.min())} to {int(rows.max())} were asked for")
