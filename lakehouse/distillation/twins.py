"""Gate: samples that say the same, or nearly so, are in a corpus once.

Compared are the words of what was asked and answered, three in a row each; system prompts and tools do not count, for
whole data sets share them. How alike two are is estimated from MinHash signatures. Of two that are alike the earlier
one (by run) stays; of answers that are labelled both ways none does.

Belongs here: texts to be compared, the shape of bands, which of alike samples stay. Not here: signatures and candidates
(see lakehouse/adapters/distill_signatures.py).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from lakehouse.distillation.messages import Message, texts_of

if TYPE_CHECKING:
    import numpy.typing as npt

SLOTS = 128
"""Length of a signature; the estimate's standard error is at most 0.045."""
MIN_RECALL = 0.98
"""So sure a pair that is just as alike as asked for becomes a candidate."""
_WORD = re.compile(r"\w+")
_ROW = 3
_BLOCK = 65_536


def shingles(texts: Iterable[str]) -> list[str]:
    """Three words in a row each, of all texts; of fewer words, what there is."""
    words = [word for text in texts for word in _WORD.findall(text.casefold())]
    if len(words) < _ROW:
        return [" ".join(words)]
    return list(map(" ".join, zip(words, words[1:], words[2:], strict=False)))


def compared_texts(messages: Sequence[Message]) -> list[str]:
    """The texts of a conversation that are compared with others'."""
    return [*texts_of([message for message in messages if message["role"] != "system"])]


def exact_key(prompt: Sequence[Message], answers: Sequence[Sequence[Message]], tools: Sequence[Any] | None) -> bytes:
    """16 bytes that are the same for samples that differ in blanks and case alone."""
    parts = [[_folded(message) for message in messages] for messages in (prompt, *answers)]
    return hashlib.blake2b(orjson.dumps([parts, tools]), digest_size=16).digest()


def _folded(message: Message) -> list[str | None]:
    texts = [
        message["role"],
        message.get("tool_call_id"),
        message["content"],
        *texts_of([{**message, "content": None}]),
    ]
    return [None if text is None else " ".join(text.casefold().split()) for text in texts]


def band_shape(likeness: float) -> tuple[int, int]:
    """Bands and rows a band: as long as they can be with a recall of `MIN_RECALL` at a likeness.

    Two signatures of likeness s share a band with a probability of 1 - (1 - s^rows)^bands. Source: Leskovec, Rajaraman,
    Ullman, "Mining of Massive Datasets", section 3.4.
    """
    for rows in range(SLOTS, 0, -1):
        bands = SLOTS // rows
        if 1 - (1 - likeness**rows) ** bands >= MIN_RECALL:
            return bands, rows
    return SLOTS, 1


def exact_copies(
    keys: npt.NDArray[np.uint64], forms: npt.NDArray[np.uint8], labels: npt.NDArray[np.int8]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Which samples are copies.

    Args:
        keys: Two words of each sample's exact key, of shape (n, 2).
        forms: Number of each sample's form; copies of another form are none.
        labels: 1 and 0 for labelled samples, -1 for others.

    Returns:
        For each sample the first one that it is a copy of (itself where it is the first), and whether it is an answer
        that is labelled both ways.
    """
    count = len(forms)
    place = np.arange(count)
    first = place.copy()
    is_torn = np.zeros(count, dtype=np.bool_)
    if not count:
        return first, is_torn
    order = np.lexsort((place, keys[:, 1], keys[:, 0], forms))
    is_same = np.ones(count - 1, dtype=np.bool_)
    for column in (keys[:, 0], keys[:, 1], forms):
        ordered = column[order]
        is_same &= ordered[1:] == ordered[:-1]
    is_start = np.concatenate([[True], ~is_same])
    starts, group = np.flatnonzero(is_start), np.cumsum(is_start) - 1
    first[order] = order[starts][group]
    least, most = np.minimum.reduceat(labels[order], starts), np.maximum.reduceat(labels[order], starts)
    is_torn[order] = (least != most)[group]
    return first, is_torn


def in_blocks(pairs: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Pairs as Python's numbers, of which there are never many at once."""
    for begin in range(0, len(pairs), _BLOCK):
        yield from map(tuple, pairs[begin : begin + _BLOCK].tolist())


def drop_near(
    pairs: npt.NDArray[np.int64],
    is_kept: npt.NDArray[np.bool_],
    *,
    forms: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int8],
) -> npt.NDArray[np.int64]:
    """Drop the later of two that are alike, in order, unless the earlier one was dropped itself.

    Args:
        pairs: Alike samples (earlier, later), of shape (m, 2).
        is_kept: What is there so far; changed in place.
        forms: Only samples of one form stand in for each other.
        labels: Likewise of one label: what makes a nearly equal answer wrong is worth learning.

    Returns:
        For each sample the one that it was dropped for, or -1.
    """
    dropped_for = np.full(len(is_kept), -1, dtype=np.int64)
    if not len(pairs):
        return dropped_for
    one, other = pairs[:, 0], pairs[:, 1]
    same = pairs[(forms[one] == forms[other]) & (labels[one] == labels[other])]
    for earlier, later in in_blocks(same[np.lexsort((same[:, 0], same[:, 1]))]):
        if is_kept[earlier] and is_kept[later]:
            is_kept[later] = False
            dropped_for[later] = earlier
    return dropped_for
