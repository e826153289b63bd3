"""Vectors of texts that searches look at again and again: kept by embedder and content, within a bound.

Belongs here: the cache. Not here: embedding (see embedding_service.py), what the vectors are for (see
lakehouse/retrieval/rerank.py).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b

import numpy as np

from lakehouse.retrieval.embedding import Vectors

_DIGEST_BYTES = 16
# Key, dictionary and array header of one vector, beside its numbers.
_OVERHEAD_BYTES = 300
Key = tuple[str, bytes]


class TextVectorCache:
    """Vectors by (embedder, text), for one event loop; the least recently used go first.

    A text is known by its hash: the same text in two corpora is embedded once, and none is kept.

    Args:
        embed: Embeds texts by a named embedder: (n, dimension), unit rows.
        most_bytes: What the vectors may take.
    """

    def __init__(self, embed: Callable[[str, Sequence[str]], Awaitable[Vectors]], *, most_bytes: int) -> None:
        self._embed = embed
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[Key, Vectors] = OrderedDict()
        self._counts: Counter[str] = Counter(hits=0, misses=0)

    async def of(self, embedder: str, texts: Sequence[str]) -> Vectors:
        """The vectors of texts.

        Args:
            embedder: Name.
            texts: At least one, none of them blank.

        Returns:
            Shape (len(texts), dimension), unit rows.

        Raises:
            BadInput: There is no such embedder.
            Unavailable: It does not answer; nothing of this call is kept.
        """
        keys = [(embedder, _digest(text)) for text in texts]
        found = {key: vector for key in keys if (vector := self._look_up(key)) is not None}
        missing = {k: text for k, text in zip(keys, texts, strict=True) if k not in found}
        self._counts["hits"] += len(found)
        self._counts["misses"] += len(missing)
        if missing:
            vectors = await self._embed(embedder, list(missing.values()))
            for key, vector in zip(missing, vectors, strict=True):
                found[key] = vector.copy()  # a view would keep the whole batch alive
                self._keep(key, found[key])
        return np.stack([found[key] for key in keys])

    def stats(self) -> dict[str, int]:
        """Hits, misses, and what is kept now."""
        return {**self._counts, "cached": len(self._kept), "bytes": self._bytes}

    def _look_up(self, key: Key) -> Vectors | None:
        vector = self._kept.get(key)
        if vector is not None:
            self._kept.move_to_end(key)
        return vector

    def _keep(self, key: Key, vector: Vectors) -> None:
        if key in self._kept:  # another search has added it meanwhile
            return
        self._kept[key] = vector
        self._bytes += vector.nbytes + _OVERHEAD_BYTES
        while self._bytes > self._most_bytes:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= gone.nbytes + _OVERHEAD_BYTES


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()
