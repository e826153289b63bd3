"""Embeddings: what an embedder is, which texts it takes, and the arithmetic that all of them share.

Belongs here: the Protocol, the check of texts, pooling, unit length, batches of similar length. Not here: models (see
lakehouse/adapters/minilm_embedder.py, static_embedder.py, endpoint_embedder.py), the cache and the micro-batches of the
API (see lakehouse/adapters/embedding_service.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from lakehouse.errors import BadInput

MAX_TEXT_BYTES = 1 << 20

Vectors = NDArray[np.float32]
Item = TypeVar("Item")
_TINY = 1e-12


class Embedder(Protocol):
    """Turns texts into vectors of one length whose cosines say how alike the texts are.

    A text's vector depends on that text alone, not on its neighbours in the call.
    """

    @property
    def name(self) -> str:
        """What a corpus stores: `minilm`, `static` or `<endpoint>/<model>`."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts; blocks, and may be called from any number of threads.

        Args:
            texts: Any number. A blank one gets the first axis, so that no vector is ever zero or NaN; it is about as
                far from everything as two texts that have nothing in common.

        Returns:
            Shape (len(texts), dimension), rows of unit length, finite.

        Raises:
            BadInput: A text cannot be embedded; the message says which.
            Unavailable: The model does not answer.
        """


def check_texts(texts: Sequence[str], *, most: int | None = None) -> None:
    """Refuse texts that cannot be embedded; for the edges where users' texts come in.

    Args:
        texts: At least one, none of them blank, each at most 1 MiB of UTF-8.
        most: How many there may be; None: any number.

    Raises:
        BadInput: Naming the index of the first text that is refused.
    """
    if not texts:
        raise BadInput("there is no text to embed; send at least one")
    if most is not None and len(texts) > most:
        raise BadInput(f"{len(texts)} texts in one call, but at most {most} are taken; send them in parts")
    for index, text in enumerate(texts):
        reason = _refusal(text)
        if reason is not None:
            raise BadInput(f"text {index} {reason}", index=index)


def is_blank(text: str) -> bool:
    """True for a text of white space alone."""
    return not text or text.isspace()


def _refusal(text: str) -> str | None:
    if is_blank(text):
        return "is blank: there is nothing to embed"
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        return f"has half of a surrogate pair at character {error.start}, which is not text"
    if size > MAX_TEXT_BYTES:
        return f"has {size} bytes, but at most {MAX_TEXT_BYTES} are taken; send it in chunks"
    return None


def mean_pool(hidden: Vectors, mask: NDArray[np.integer]) -> Vectors:
    """Mean of the tokens that count.

    Args:
        hidden: Shape (texts, tokens, dimension).
        mask: Shape (texts, tokens), 1 where there is a token and 0 where there is padding.

    Returns:
        Shape (texts, dimension); zero where a text has no token.
    """
    weights = mask.astype(np.float32)
    summed: Vectors = np.einsum("btd,bt->bd", hidden, weights, optimize=True)
    counts = weights.sum(axis=1, keepdims=True)
    summed /= np.maximum(counts, 1.0)
    return summed


def unit_rows(rows: Vectors) -> Vectors:
    """The same rows at unit length, changed in place; a row without a direction becomes the first axis.

    Args:
        rows: Shape (n, dimension), finite.
    """
    norms = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    if norms.min(initial=1.0) < _TINY:
        directionless = norms < _TINY
        rows[directionless] = 0.0
        rows[directionless, 0] = 1.0
        norms[directionless] = 1.0
    rows /= norms[:, None]
    return rows


def length_buckets(lengths: Sequence[int], size: int, *, most_tokens: int) -> list[NDArray[np.int64]]:
    """Batches of texts of similar length, so that little of a batch is padding.

    Args:
        lengths: Tokens of each text.
        size: Most texts of a batch, at least 1.
        most_tokens: Most tokens of a batch, padding included; a longer text is a batch by itself.

    Returns:
        Index arrays that together hold every index once, the shortest texts first.
    """
    order = np.argsort(np.asarray(lengths, dtype=np.int64), kind="stable")
    buckets: list[NDArray[np.int64]] = []
    start = 0
    for end in range(1, len(order) + 1):
        is_full = end - start == size or end == len(order)
        if is_full or (end - start + 1) * lengths[order[end]] > most_tokens:
            buckets.append(order[start:end])
            start = end
    return buckets


def padded(ids: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token ids as one matrix, and the mask of the tokens that are not padding.

    Args:
        ids: Token ids of each text, of any lengths.

    Returns:
        Two arrays of shape (texts, longest); padding is 0 in both.
    """
    lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
    mask = np.arange(max(int(lengths.max(initial=0)), 1)) < lengths[:, None]
    matrix = np.zeros(mask.shape, dtype=np.int64)
    matrix[mask] = np.fromiter((i for text in ids for i in text), dtype=np.int64, count=int(lengths.sum()))
    return matrix, mask.astype(np.int64)


def sums_by_owner(
    items: Sequence[Sequence[Item]], rows_of: Callable[[list[Item]], Vectors], *, dimension: int, most: int
) -> Vectors:
    """Sum the rows of each owner's items, in memory that does not grow with their number.

    Args:
        items: The items of each owner; an owner without any gets zeros.
        rows_of: Gives shape (items, dimension) for some items.
        dimension: Length of a row.
        most: Rows that are made at a time, twice as many at the most.

    Returns:
        Shape (len(items), dimension). A sum depends on its own items alone.
    """
    sums = np.zeros((len(items), dimension), dtype=np.float32)
    gathered: list[Item]
    if 0 < sum(map(len, items)) <= most:  # few items, as in queries: one call for all of them
        gathered = [item for own in items for item in own]
        rows, start = rows_of(gathered), 0
        for total, own in zip(sums, items, strict=True):
            np.add.reduce(rows[start : start + len(own)], axis=0, out=total)
            start += len(own)
        return sums
    parts: list[tuple[int, int]] = []  # an owner and how many of its items
    gathered = []

    def add() -> None:
        rows = rows_of(gathered)
        start = 0
        for owner, length in parts:  # `np.add.reduceat` does the same in four times the time
            sums[owner] += np.add.reduce(rows[start : start + length], axis=0)
            start += length

    for owner, own in enumerate(items):
        for start in range(0, len(own), most):
            part = own[start : start + most]
            parts.append((owner, len(part)))
            gathered += part
            if len(gathered) >= most:
                add()
                parts, gathered = [], []
    if gathered:
        add()
    return sums
