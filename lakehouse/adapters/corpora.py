"""The corpora of a process: opened at first use, kept up to date by one thread, written in groups.

A corpus is held in memory while the memory budget allows it; one that does not fit, or has outgrown it, is served from
its Lance table until the process is restarted.

Belongs here: which corpora are open and how, the thread that follows. Not here: one corpus (see open_corpus.py,
lance_corpus.py), grouping of writes (see write_queue.py), shapes and names of indexes (see
lakehouse_api/routes/vectors.py).
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import anyio
import structlog

from lakehouse.adapters.calibrator import Calibrator
from lakehouse.adapters.corpus_reader import CorpusReader
from lakehouse.adapters.lance_corpus import LanceCorpus
from lakehouse.adapters.lance_table import LanceTable
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.lance_upkeep import stored_bytes
from lakehouse.adapters.open_corpus import OpenCorpus
from lakehouse.adapters.write_queue import WriteQueue
from lakehouse.errors import LakehouseError, NotFound, Unavailable
from lakehouse.retrieval.index_memory import IndexMemory, hot_index_bytes
from lakehouse.tables.corpus import corpus_schema

if TYPE_CHECKING:
    import pyarrow as pa

Done = TypeVar("Done")
Corpus: TypeAlias = OpenCorpus | LanceCorpus
_WAIT_S = 2.0
_POLL_S = 0.02
_SILENCE_S = 10.0
_log = structlog.get_logger("lakehouse.corpora")


class Corpora:
    """Corpora by name, for one event loop.

    Args:
        tables: The bucket's Lance tables.
        poll_s: Pause between two looks at each open corpus; others' writes show within 2 s.
        hidden: Tables that are no corpora: the memory tables.
        snapshots: Folder of the snapshots of hot indexes; None: there are none.
        memory_bytes: Memory for hot indexes; None: no limit.
        calibrator: Calibrates indexes that were made over HTTP; None: nobody does.
    """

    def __init__(
        self,
        tables: LanceTables,
        *,
        poll_s: float,
        hidden: frozenset[str],
        snapshots: Path | None = None,
        memory_bytes: int | None = None,
        calibrator: Calibrator | None = None,
    ) -> None:
        self._tables = tables
        self._poll_s = poll_s
        self._hidden = hidden
        self._snapshots = snapshots
        self.memory = IndexMemory(memory_bytes)
        self._calibrator = calibrator
        self._open: dict[str, Corpus] = {}
        self._measured: dict[str, str] = {}
        self._opening: dict[str, asyncio.Task[Corpus]] = {}
        self._queues: dict[str, WriteQueue] = {}
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="corpora")
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._silence_s = max(_SILENCE_S, 5 * poll_s)
        self._looked_s = math.inf

    def start(self) -> None:
        """Begin to follow."""
        self._looked_s = time.monotonic()
        self._thread = threading.Thread(target=self._follow, name="corpora-follower", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish what was begun and end."""
        self._stopping.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._thread is not None:
            self._thread.join()
        if self._calibrator is not None:
            self._calibrator.stop()

    async def warm(self) -> None:
        """Open every corpus there is, ahead of the first search."""
        try:
            for name in await self._run(self._tables.names):
                if name not in self._hidden:
                    await self.open(name)
        except LakehouseError as error:
            _log.warning("corpora are opened when they are asked for", reason=error.detail)

    async def open(self, name: str) -> CorpusReader:
        """A corpus for one search.

        Raises:
            NotFound: There is none of that name.
            StoreUnavailable, BrokenFiles: It is not open yet, and cannot be read.
        """
        corpus = self._open.get(name)
        return self._told(corpus or await self._opened(name))

    async def names(self) -> list[str]:
        """Names of all corpora, sorted."""
        return [name for name in await self._run(self._tables.names) if name not in self._hidden]

    async def create(self, name: str, info: Mapping[str, Any]) -> CorpusReader:
        """Make a corpus without rows.

        Raises:
            BadInput: The name is refused.
            Conflict: There is one.
        """
        table = await self._run(lambda: self._tables.create(name, corpus_schema(int(info["dimension"])), info=info))
        self._open[name] = await self._run(self._read, table)
        return self._open[name].reader

    async def drop(self, name: str) -> None:
        """Take a corpus away; raises `NotFound` when there is none."""
        await self._opened(name)
        await self._run(self._tables.drop, name)
        self._forget(name)

    async def upsert(self, name: str, rows: pa.Table) -> str:
        """Insert or replace rows by id; durable and searchable when it returns the revision."""
        queue = self._queues.setdefault(name, WriteQueue())
        return await queue.put(rows, lambda group: self._commit(name, group))

    async def delete(self, name: str, ids: Sequence[str]) -> tuple[int, str]:
        """Take rows away; how many were there, and the revision without them."""
        corpus = await self._opened(name)
        return await self._run(self._write, name, corpus, lambda: corpus.delete(ids))

    async def wait_for(self, name: str, revision: str) -> None:
        """Return when a corpus is at a revision or past it.

        Raises:
            Unavailable: It did not get there within 2 s.
        """
        with anyio.move_on_after(_WAIT_S):
            while (await self.open(name)).revision < revision:
                await asyncio.sleep(_POLL_S)
            return
        raise Unavailable(f"corpus {name!r} has not seen revision {revision[:60]!r} yet; try again", retry_after_s=1)

    def stats(self) -> dict[str, dict[str, Any]]:
        """Of each open corpus: its rows, the index's bytes and kind, whether it is in memory, whether it is stale."""
        readers = [(name, self._told(corpus)) for name, corpus in tuple(self._open.items())]
        return {
            name: {
                "rows": len(reader.index),
                "bytes": (numbers := reader.index.stats())["bytes"],
                "kind": numbers["kind"],
                "in_memory": reader.is_in_memory,
                "stale": reader.is_stale,
            }
            for name, reader in readers
        }

    def _told(self, corpus: Corpus) -> CorpusReader:
        """A corpus as it is now, marked stale when it was not looked at for long, as when the store hangs."""
        reader = corpus.reader
        is_silent = time.monotonic() - self._looked_s > self._silence_s
        return replace(reader, is_stale=True) if is_silent and not reader.is_stale else reader

    async def _opened(self, name: str) -> Corpus:
        corpus = self._open.get(name)
        if corpus is not None:
            return corpus
        if name not in self._opening:
            self._opening[name] = asyncio.create_task(self._open_table(name))
            self._opening[name].add_done_callback(lambda _: self._opening.pop(name, None))
        return await asyncio.shield(self._opening[name])

    async def _open_table(self, name: str) -> Corpus:
        table = None if name in self._hidden else await self._run(self._tables.open, name)
        if table is None:
            raise NotFound(
                f"there is no corpus {name[:100]!r}; GET /v1/vectors/index lists those there are", corpus=name[:100]
            )
        corpus = await self._run(self._read, table)
        self._open[name] = corpus
        return corpus

    def _read(self, table: LanceTable) -> Corpus:
        wanted = hot_index_bytes(table.live.rows, int(table.info["dimension"]), stored_bytes=stored_bytes(table))
        if not self.memory.claim(table.name, wanted):
            return LanceCorpus(table)
        folder = None if self._snapshots is None else self._snapshots / table.name
        try:
            return OpenCorpus(table, snapshot=folder)
        except BaseException:
            self.memory.release(table.name)
            raise

    def _write(self, name: str, corpus: Corpus, change: Callable[[], Done]) -> Done:
        done = change()
        now = self._open.get(name)
        if now is not None and now is not corpus:
            now.follow()  # the corpus left memory meanwhile; follow at once, so that the write is found
        return done

    async def _commit(self, name: str, group: Sequence[pa.Table]) -> str:
        import pyarrow as pa

        corpus = await self._opened(name)
        return await self._run(self._write, name, corpus, lambda: corpus.upsert(pa.concat_tables(group)))

    async def _run(self, function: Callable[..., Done], *args: Any) -> Done:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)

    def _follow(self) -> None:
        while not self._stopping.wait(self._poll_s):
            for name, corpus in tuple(self._open.items()):
                try:
                    corpus.follow()
                    self._measure(name, corpus)
                    corpus.save_snapshot()
                    if self._calibrator is not None:
                        self._calibrator.look(corpus.table, corpus.reader)
                except NotFound:
                    self._forget(name)
                except LakehouseError as error:
                    _log.warning("corpus not followed", corpus=name, reason=error.detail)
                except Exception:  # a failure of one corpus must not stop the others from being followed
                    _log.exception("corpus not followed", corpus=name)
            self._looked_s = time.monotonic()

    def _measure(self, name: str, corpus: Corpus) -> None:
        """Measure what a corpus takes; while all together take too much, the largest corpus leaves memory."""
        reader = corpus.reader
        if not reader.is_in_memory or self._measured.get(name) == reader.revision:
            return
        self.memory.measure(name, int(reader.index.stats()["bytes"]))
        while self.memory.is_over:
            held = {n: c for n, c in tuple(self._open.items()) if isinstance(c, OpenCorpus) and len(c.reader.index)}
            if not held:
                break
            largest = max(held, key=lambda n: int(held[n].reader.index.stats()["bytes"]))
            self._turn_over(largest, held[largest])
        self._measured[name] = reader.revision

    def _turn_over(self, name: str, corpus: OpenCorpus) -> None:
        with corpus.moving:  # so that a later write sees that another object serves the corpus
            self._open[name] = LanceCorpus(corpus.table)
        self.memory.release(name)

    def _forget(self, name: str) -> None:
        self._open.pop(name, None)
        self._measured.pop(name, None)
        self.memory.release(name)
