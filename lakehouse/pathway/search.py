"""Searching traces: filters first, then words and meaning together; without a text the newest come first.

A trace that was revised gives way to its revision, a retired one to nobody: both stay away unless they are asked for.

Belongs here: the request, the ranking. Not here: the index (see lakehouse/adapters/trace_index.py), which traces there
are (see book.py).
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lakehouse.errors import BadInput
from lakehouse.pathway.book import PathwayBook
from lakehouse.pathway.trace import PathwayTrace
from lakehouse.pathway.trace_rows import sortable
from lakehouse.retrieval.filters import And, Compare, Filter
from lakehouse.retrieval.fusion import fuse

# Chosen on the first five conversations of LoCoMo, where 0.4 to 0.55 differ by 0.004 (bench/memory.py).
TEXT_WEIGHT = 0.45
_LEAST_CANDIDATES = 100
_INLINE_ROWS = 20_000
_INLINE_WAITING = 64
_INLINE_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class PathwaySearch:
    """What is looked for.

    Attributes:
        text: Words and meaning; None: the newest traces come first.
        tags: All of them must be on a trace.
        since: Updated at or after it, aware.
        k: Most results.
        include_retired: Retired ones come too.
        include_revised: Those that gave way to a revision come too.
    """

    text: str | None = None
    tags: Sequence[str] = ()
    since: datetime | None = None
    k: int = 10
    include_retired: bool = False
    include_revised: bool = False

    def filter(self) -> Filter:
        """What a trace's metadata must pass."""
        states = ("current",) + ("retired",) * self.include_retired + ("revised",) * self.include_revised
        parts: list[Filter] = [Compare("state", "in", states)]
        parts += [Compare("tags", "contains", tag) for tag in dict.fromkeys(self.tags)]
        if self.since is not None:
            parts.append(Compare("updated_at", "gte", sortable(self.since)))
        return And(tuple(parts))


@dataclass(frozen=True, slots=True)
class Candidates:
    """Traces by uid with both their scores: cosine similarity and BM25, (n,) each."""

    uids: list[str]
    similarity: NDArray[np.float32]
    text_score: NDArray[np.float32]


class Index(Protocol):
    """What search needs of the index."""

    def __len__(self) -> int: ...

    @property
    def waiting(self) -> int: ...

    def candidates(self, text: str, vector: NDArray[np.float32], k: int, wanted: Filter) -> Candidates: ...

    def passing(self, wanted: Filter) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Found:
    """A trace, its score among those found, 0 to 1, and its cosine to the text; both 0 where none was asked."""

    trace: PathwayTrace
    score: float
    similarity: float


class PathwaySearcher:
    """Searches for one process.

    Args:
        book: The traces.
        index: Their index.
        embed: Embeds a text by the embedder of the index.
    """

    def __init__(self, book: PathwayBook, index: Index, embed: Callable[[str], Awaitable[NDArray[np.float32]]]) -> None:
        self._book = book
        self._index = index
        self._embed = embed

    async def search(self, asked: PathwaySearch) -> list[Found]:
        """The best traces, best first; of equal scores the newer one comes first.

        Raises:
            BadInput: The text is blank.
            Unavailable: The embedder does not answer.
        """
        if asked.text is None:
            return await self._run(self._newest, asked)
        if not asked.text.strip():
            raise BadInput("text must not be blank; leave it out for the newest traces", field="text")
        if not len(self._index):
            return []
        vector = await self._embed(asked.text)
        return await self._run(self._ranked, asked, vector)

    async def _run(self, function: Callable[..., list[Found]], asked: PathwaySearch, *given: object) -> list[Found]:
        # A thread costs more than a search of few rows does.
        is_short = len(asked.text or "") <= _INLINE_CHARACTERS
        if is_short and len(self._index) <= _INLINE_ROWS and self._index.waiting <= _INLINE_WAITING:
            return function(asked, *given)
        return await asyncio.to_thread(function, asked, *given)

    def _ranked(self, asked: PathwaySearch, vector: NDArray[np.float32]) -> list[Found]:
        assert asked.text is not None
        found = self._index.candidates(asked.text, vector, max(_LEAST_CANDIDATES, 2 * asked.k), asked.filter())
        scores = fuse(found.similarity, found.text_score, weight=TEXT_WEIGHT)
        # Equal scores are rare: a few more than asked for are enough to put the newer of them first.
        best = np.argsort(-scores, kind="stable")[: 2 * asked.k]
        known = [
            Found(trace, float(scores[n]), float(found.similarity[n]))
            for n in best
            if (trace := self._book.get(found.uids[n])) is not None
        ]
        return heapq.nsmallest(asked.k, known, key=lambda one: (-one.score, -one.trace.updated_at.timestamp()))

    def _newest(self, asked: PathwaySearch) -> list[Found]:
        traces = (self._book.get(uid) for uid in self._index.passing(asked.filter()))
        newest = heapq.nlargest(asked.k, filter(None, traces), key=lambda trace: (trace.updated_at, trace.uid))
        return [Found(trace, 0.0, 0.0) for trace in newest]
