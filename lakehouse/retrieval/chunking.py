"""Chunking: a long text as pieces of bounded length that overlap, cut where sentences end when there is such a place.

Belongs here: where the cuts are. Not here: how long a word is in tokens (an embedder knows), what chunks are called
(see corpus_rows.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from lakehouse.errors import BadInput

MAX_UNITS = 100_000
Unit = Literal["words", "tokens"]
_WORD = re.compile(r"\S+")
_SENTENCE_END = re.compile(r"[.!?…。][\"')\]»”’]*$")


@dataclass(frozen=True, slots=True)
class Chunking:
    """How long a chunk may be, and how much of one the next repeats, both in `unit`s."""

    most: int
    overlap: int = 0
    unit: Unit = "words"

    def __post_init__(self) -> None:
        if not 1 <= self.most <= MAX_UNITS:
            raise BadInput(f"max_{self.unit} is {self.most}; it must be 1 to {MAX_UNITS}")
        if not 0 <= self.overlap <= self.most // 2:
            raise BadInput(f"overlap is {self.overlap}; it must be 0 to half of max_{self.unit} ({self.most // 2})")


def split_text(text: str, chunking: Chunking, lengths: Callable[[Sequence[str]], Sequence[int]]) -> list[str]:
    """Cut a text into chunks, each a piece of it as it stands.

    Every word is in a chunk; a chunk is at most `most` long, unless it is one word that is longer. Where a sentence
    ends in the second half of a chunk, the cut is there.

    Args:
        text: Any text; one of blanks alone gives nothing.
        chunking: The limits.
        lengths: Gives the length of each of some words in the chunking's unit, each at least 0.
    """
    words = list(_WORD.finditer(text))
    if not words:
        return []
    sizes = list(lengths([word.group() for word in words]))
    chunks = []
    start = end = 0
    while True:
        end = _end(words, sizes, start, after=end, most=chunking.most)
        chunks.append(text[words[start].start() : words[end - 1].end()])
        if end == len(words):
            return chunks
        start = _next_start(sizes, start, end, chunking)


def word_lengths(words: Sequence[str]) -> Sequence[int]:
    """Each word is one word long."""
    return [1] * len(words)


def _end(words: Sequence[re.Match[str]], sizes: Sequence[int], start: int, *, after: int, most: int) -> int:
    """The word after the chunk that begins at `start`; past `after`, where the chunk before ended."""
    end, total = start, 0
    while end < len(words) and (end == start or total + sizes[end] <= most):
        total += sizes[end]
        end += 1
    if end == len(words):
        return end
    first_cut = max(start + (end - start + 1) // 2, after) + 1
    for cut in range(end, first_cut - 1, -1):
        if _SENTENCE_END.search(words[cut - 1].group()):
            return cut
    return end


def _next_start(sizes: Sequence[int], start: int, end: int, chunking: Chunking) -> int:
    """The first word of the next chunk: as many words before `end` as fit into the overlap and leave room for more."""
    begin, total = end, 0
    room = min(chunking.overlap, chunking.most - sizes[end])
    while begin - 1 > start and total + sizes[begin - 1] <= room:
        begin -= 1
        total += sizes[begin]
    return begin
