"""One embedder on an event loop: the cache of its vectors, its queue of texts, the threads it runs in.

Belongs here: cache, micro-batches, who waits for what. Not here: which embedders are open (see embedding_service.py).
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from lakehouse.errors import BadInput
from lakehouse.retrieval.embedding import Embedder, Vectors

# A query waits for one running batch at the most: with MiniLM on two cores that is up to a tenth of a second.
_BATCH_TEXTS = 32
_BATCH_CHARACTERS = 8192
# Longer lists are bulk work and not cached: their texts are seldom asked for again, and would push out queries.
_KEPT_TEXTS = 32
_LONGEST_KEY = 512
# Overhead of a cached vector beside its numbers and its key.
_KEPT_BYTES = 250

Key = str | bytes


@dataclass(slots=True, eq=False)
class _Job:
    """One text to be embedded, and how many callers still wait for it."""

    key: Key
    text: str
    done: asyncio.Future[Vectors]
    waiters: int = 0
    is_kept: bool = False


class EmbeddingLane:
    """Serves one embedder to the coroutines of one event loop.

    The texts that came while the last batch ran are the next batch, so there is no timer. Queries go before bulk work.
    A text that is being embedded is not embedded again for a second caller. Callers may be cancelled: a text that
    nobody waits for any more is not begun, and other callers do not notice.

    Args:
        embedder: Closed with the lane where it can be. It may have `inline_characters` (texts of so many in all cost
            less than a thread, and are embedded on the event loop) and `calls_at_a_time` (more than one where calls
            mostly wait for somebody else's machine).
        cache_entries: Vectors that are kept, the least recently used dropped first.
        cache_bytes: What they may take.
        counts: Where `hits`, `misses`, `batches` and `texts` are counted.

    Attributes:
        cached_bytes: What the vectors in the cache take, with their keys.
    """

    def __init__(self, embedder: Embedder, *, cache_entries: int, cache_bytes: int, counts: Counter[str]) -> None:
        self.embedder = embedder
        self._inline_characters: int = getattr(embedder, "inline_characters", 0)
        self._most_calls: int = getattr(embedder, "calls_at_a_time", 1)
        self._cache_entries = cache_entries
        self._most_bytes = cache_bytes
        self._row_bytes = embedder.dimension * np.dtype(np.float32).itemsize + _KEPT_BYTES
        self.cached_bytes = 0
        self._counts = counts
        self._cache: OrderedDict[Key, Vectors] = OrderedDict()
        self._pending: dict[Key, _Job] = {}
        self._queries: deque[_Job] = deque()
        self._bulk: deque[_Job] = deque()
        self._turn: list[tuple[Key, str, asyncio.Future[Vectors]]] = []
        self._running = 0
        self._runners: set[asyncio.Task[None]] = set()
        self._pool = ThreadPoolExecutor(self._most_calls, thread_name_prefix=f"embed-{embedder.name}")

    @property
    def cached(self) -> int:
        """Vectors in the cache."""
        return len(self._cache)

    @property
    def waiting(self) -> int:
        """Texts that wait for their batch."""
        return len(self._queries) + len(self._bulk)

    @property
    def pool(self) -> ThreadPoolExecutor:
        """The threads in which the embedder works."""
        return self._pool

    async def one(self, text: str) -> tuple[Vectors, bool]:
        """The vector of a query, shape (dimension,), read-only; True when it came from the cache."""
        key = _key(text)
        found = self._lookup(key)
        if found is not None:
            return found, True
        if self.is_inline((text,)):
            return await self._in_turn(key, text), False
        job = self._join(key, text, is_query=True)
        self._wake()
        try:
            return await asyncio.shield(job.done), False
        finally:
            job.waiters -= 1

    async def many(self, texts: Sequence[str]) -> Vectors:
        """The vectors of texts, shape (len(texts), dimension)."""
        is_query = len(texts) <= _KEPT_TEXTS
        if is_query and self.is_inline(texts):
            return np.stack(self._inline(texts))
        rows = np.empty((len(texts), self.embedder.dimension), dtype=np.float32)
        jobs: list[tuple[int, _Job]] = []
        for number, text in enumerate(texts):
            key = _key(text)
            found = self._lookup(key)
            if found is None:
                jobs.append((number, self._join(key, text, is_query=is_query)))
            else:
                rows[number] = found
        self._wake()
        try:
            for number, job in jobs:
                rows[number] = job.done.result() if job.done.done() else await asyncio.shield(job.done)
        finally:
            for _, job in jobs:
                job.waiters -= 1
        return rows

    def is_inline(self, texts: Sequence[str]) -> bool:
        """True when the event loop may do this itself."""
        return self._inline_characters > 0 and sum(map(len, texts)) <= self._inline_characters

    def close(self) -> None:
        """Cancel what has not begun, and close the embedder where it can be closed."""
        for runner in self._runners:
            runner.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)
        close: Callable[[], None] | None = getattr(self.embedder, "close", None)
        if close is not None:
            close()

    def _lookup(self, key: Key) -> Vectors | None:
        found = self._cache.get(key)
        if found is None:
            self._counts["misses"] += 1
            return None
        self._counts["hits"] += 1
        self._cache.move_to_end(key)
        return found

    def _keep(self, key: Key, vector: Vectors) -> None:
        if key not in self._cache:
            self.cached_bytes += self._row_bytes + sys.getsizeof(key)
        self._cache[key] = vector
        while len(self._cache) > self._cache_entries or self.cached_bytes > self._most_bytes:
            gone, _ = self._cache.popitem(last=False)
            self.cached_bytes -= self._row_bytes + sys.getsizeof(gone)

    def _inline(self, texts: Sequence[str]) -> list[Vectors]:
        keys = [_key(text) for text in texts]
        found = {key: self._lookup(key) for key in keys}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if found[key] is None}
        if missing:
            found.update(zip(missing, self._now(list(missing), list(missing.values())), strict=True))
        return [vector for key in keys if (vector := found[key]) is not None]

    def _in_turn(self, key: Key, text: str) -> asyncio.Future[Vectors]:
        """The vector of a text, embedded with all that come in this turn of the loop: together they cost less."""
        done: asyncio.Future[Vectors] = asyncio.get_running_loop().create_future()
        self._turn.append((key, text, done))
        if len(self._turn) == 1:
            asyncio.get_running_loop().call_soon(self._end_turn)
        return done

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, []
        texts = {key: text for key, text, done in turn if not done.done()}
        vectors: dict[Key, Vectors | Exception] = {}
        try:
            vectors.update(zip(texts, self._now(list(texts), list(texts.values())), strict=True))
        except Exception:  # one text was refused: each is tried by itself, so that the others succeed
            for key, text in texts.items():
                try:
                    vectors[key] = self._now([key], [text])[0]
                except Exception as error:
                    vectors[key] = error
        for key, _, done in turn:
            if done.done():
                continue  # its caller has gone
            found = vectors[key]
            if isinstance(found, Exception):
                done.set_exception(found)
            else:
                done.set_result(found)

    def _now(self, keys: list[Key], texts: list[str]) -> list[Vectors]:
        vectors = _rows(self.embedder.embed(texts))
        self._count_batch(len(texts))
        for key, vector in zip(keys, vectors, strict=True):
            self._keep(key, vector)
        return vectors

    def _join(self, key: Key, text: str, *, is_query: bool) -> _Job:
        job = self._pending.get(key)
        if job is None:
            job = _Job(key, text, asyncio.get_running_loop().create_future())
            self._pending[key] = job
            (self._queries if is_query else self._bulk).append(job)
        job.waiters += 1
        job.is_kept |= is_query
        return job

    def _wake(self) -> None:
        if (self._queries or self._bulk) and self._running < self._most_calls:
            self._running += 1
            runner = asyncio.get_running_loop().create_task(self._run())
            self._runners.add(runner)  # a reference, or the task might be garbage collected while it runs
            runner.add_done_callback(self._runners.discard)

    async def _run(self) -> None:
        jobs: list[_Job] = []
        try:
            while jobs := self._next_batch():
                await self._embed(jobs)
        except asyncio.CancelledError:
            for job in jobs:
                job.done.cancel()
            raise
        finally:
            self._running -= 1

    def _next_batch(self) -> list[_Job]:
        jobs: list[_Job] = []
        characters = 0
        for queue in (self._queries, self._bulk):
            while queue and len(jobs) < _BATCH_TEXTS:
                if queue[0].waiters <= 0:
                    self._pending.pop(queue.popleft().key).done.cancel()
                    continue
                characters += len(queue[0].text)
                if jobs and characters > _BATCH_CHARACTERS:
                    return jobs
                jobs.append(queue.popleft())
        return jobs

    async def _embed(self, jobs: list[_Job]) -> None:
        texts = [job.text for job in jobs]
        try:
            vectors = await asyncio.get_running_loop().run_in_executor(self._pool, self.embedder.embed, texts)
        except BadInput as error:
            if len(jobs) == 1:
                self._fail(jobs, error)
                return
        except Exception as error:  # whatever it is, the waiting callers must get it
            self._fail(jobs, error)
            return
        else:
            self._finish(jobs, vectors)
            return
        for job in jobs:  # one text was refused: each is tried by itself, so that the others succeed
            await self._embed([job])

    def _finish(self, jobs: list[_Job], vectors: Vectors) -> None:
        self._count_batch(len(jobs))
        for job, vector in zip(jobs, _rows(vectors), strict=True):
            del self._pending[job.key]
            if job.is_kept:
                self._keep(job.key, vector)
            job.done.set_result(vector)

    def _fail(self, jobs: list[_Job], error: Exception) -> None:
        for job in jobs:
            del self._pending[job.key]
            job.done.set_exception(error)
            job.done.exception()  # mark it as retrieved: a caller that waits for several texts gets only one error

    def _count_batch(self, texts: int) -> None:
        self._counts["batches"] += 1
        self._counts["texts"] += texts


def _rows(vectors: Vectors) -> list[Vectors]:
    """Read-only copies of the rows, as a cached view would keep its whole batch alive."""
    rows = [vector.copy() for vector in vectors]
    for row in rows:
        row.setflags(write=False)
    return rows


def _key(text: str) -> Key:
    """The cache key: the text, or its hash when it is long, to save memory."""
    if len(text) <= _LONGEST_KEY:
        return text
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
