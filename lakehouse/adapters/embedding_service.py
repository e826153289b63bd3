"""Embeddings for the API: every embedder opened once, at its first use, and shared by all requests.

Belongs here: which embedders are open, what is counted. Not here: cache and batches of one (see embedding_lane.py).
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from lakehouse.adapters.embedders import open_embedder
from lakehouse.adapters.embedding_lane import EmbeddingLane
from lakehouse.errors import Unavailable
from lakehouse.retrieval.embedding import Embedder, Vectors, check_texts
from lakehouse.settings import Settings

_BYTES_A_TOKEN = 4


class EmbeddingService:
    """Embedders by name, with a cache each, for one event loop; `get` is for threads, too.

    Args:
        settings: Endpoints, threads, size of the caches.
        opener: Opens an embedder by its name.
    """

    def __init__(self, settings: Settings, *, opener: Callable[[str, Settings], Embedder] = open_embedder) -> None:
        self._settings = settings
        self._opener = opener
        self._opening = threading.Lock()
        self._opening_thread = ThreadPoolExecutor(1, thread_name_prefix="open-embedder")
        self._embedders: dict[str, Embedder] = {}
        self._failures: dict[str, str] = {}
        self._lanes: dict[str, EmbeddingLane] = {}
        self._counts: Counter[str] = Counter(hits=0, misses=0, batches=0, texts=0)

    def get(self, name: str) -> Embedder:
        """The embedder of a name, opened at its first use; blocks for as long as that takes.

        Raises:
            BadInput: There is none of this name.
            Unavailable: Its model file is missing; the next call looks again.
        """
        found = self._embedders.get(name)
        if found is not None:
            return found
        with self._opening:
            if name not in self._embedders:
                self._embedders[name] = self._open(name)
            return self._embedders[name]

    async def opened(self, name: str) -> Embedder:
        """The same for coroutines, without blocking the event loop."""
        return (await self._lane(name)).embedder

    async def embed_query(self, name: str, text: str) -> tuple[Vectors, bool]:
        """Embed one text that is likely to be asked again.

        Args:
            name: The embedder's.
            text: Neither blank nor longer than 1 MiB.

        Returns:
            The vector, shape (dimension,), unit length, read-only, and True when it came from the cache.

        Raises:
            BadInput: The text, or the name.
            Unavailable: The model cannot be opened or does not answer.
            TimedOut: An endpoint did not answer in time.
        """
        check_texts((text,))
        return await (await self._lane(name)).one(text)

    async def embed_many(self, name: str, texts: Sequence[str]) -> Vectors:
        """Embed texts, in batches shared with other callers; queries go before long lists.

        Args:
            name: The embedder's.
            texts: At least one; like `embed_query`.

        Returns:
            Shape (len(texts), dimension), unit rows.

        Raises:
            BadInput: A text, naming its index, or the name.
            Unavailable: The model cannot be opened or does not answer.
            TimedOut: An endpoint did not answer in time.
        """
        check_texts(texts)
        return await (await self._lane(name)).many(texts)

    async def count_tokens(self, name: str, texts: Sequence[str]) -> int:
        """Tokens of these texts that the model reads; of an endpoint's model, a token for four bytes."""
        lane = await self._lane(name)
        count: Callable[[Sequence[str]], int] = getattr(lane.embedder, "count_tokens", _estimate_tokens)
        if lane.is_inline(texts):
            return count(texts)
        return await asyncio.get_running_loop().run_in_executor(lane.pool, count, texts)

    def stats(self) -> dict[str, int]:
        """What was counted since the start, and how much is cached and waits now; texts are those that models read."""
        lanes = set(self._lanes.values())
        return {
            **self._counts,
            "cached": sum(lane.cached for lane in lanes),
            "cached_bytes": sum(lane.cached_bytes for lane in lanes),
            "waiting": sum(lane.waiting for lane in lanes),
        }

    def failures(self) -> dict[str, str]:
        """Embedders that could not be opened when they were last asked for, and why."""
        return dict(self._failures)

    def close(self) -> None:
        """Begin nothing any more."""
        for lane in set(self._lanes.values()):
            lane.close()
        self._opening_thread.shutdown(wait=False, cancel_futures=True)

    async def _lane(self, name: str) -> EmbeddingLane:
        lane = self._lanes.get(name)
        if lane is not None:
            return lane
        embedder = self._embedders.get(name)
        if embedder is None:
            embedder = await asyncio.get_running_loop().run_in_executor(self._opening_thread, self.get, name)
        if embedder.name not in self._lanes:
            self._lanes[embedder.name] = EmbeddingLane(
                embedder,
                cache_entries=self._settings.embedding_cache_entries,
                cache_bytes=self._settings.embedding_cache_bytes,
                counts=self._counts,
            )
        lane = self._lanes[name] = self._lanes[embedder.name]
        return lane

    def _open(self, name: str) -> Embedder:
        try:
            embedder = self._opener(name, self._settings)
        except Unavailable as error:
            self._failures[name] = error.detail
            raise
        self._failures.pop(name, None)
        # An endpoint has two names, which must open one embedder.
        return self._embedders.setdefault(embedder.name, embedder)


def _estimate_tokens(texts: Sequence[str]) -> int:
    return sum(-(-len(text.encode()) // _BYTES_A_TOKEN) for text in texts)
