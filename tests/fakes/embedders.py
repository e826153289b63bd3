"""An embedder without a model: words are fixed random directions, a text is the sum of its words."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from lakehouse.retrieval.embedding import unit_rows
from lakehouse.settings import Settings


class FakeEmbedder:
    """Passes the contract suite; a test looks at `calls`, shuts `gate` to hold calls up, sets `failure`.

    `refuses` is a text that makes the whole call fail, as a server does with one that is too long.
    """

    def __init__(self, name: str = "fake", dimension: int = 32) -> None:
        self.name = name
        self.dimension = dimension
        self.calls: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.failure: Exception | None = None
        self.refuses: tuple[str, Exception] | None = None

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.calls.append(list(texts))
        self.entered.release()
        assert self.gate.wait(60)
        if self.failure is not None:
            raise self.failure
        if self.refuses is not None and self.refuses[0] in texts:
            raise self.refuses[1]
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                np.add(row, self._direction(word), out=row)
        return unit_rows(rows)

    def _direction(self, word: str) -> NDArray[np.float32]:
        seed = int.from_bytes(sha256(word.encode("utf-8", "surrogatepass")).digest()[:8], "big")
        return np.random.default_rng(seed).standard_normal(self.dimension).astype(np.float32)


class InlineEmbedder(FakeEmbedder):
    """One that may be called on the event loop for short texts, and counts its tokens."""

    inline_characters = 40

    def count_tokens(self, texts: Sequence[str]) -> int:
        return sum(len(text.split()) for text in texts)


def opener(*embedders: FakeEmbedder) -> Callable[[str, Settings], FakeEmbedder]:
    """Opens these by name; another name is a `KeyError`."""
    return lambda name, _: {e.name: e for e in embedders}[name]
