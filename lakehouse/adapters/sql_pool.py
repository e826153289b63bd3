"""The SQL pool: a few worker processes, one query each, really cancelled, replaced when they die.

A worker starts with a query that finds none, and ends when it had none to run for a while: a process takes 70 MB and
more, and many installations are asked for SQL once a day.

Belongs here: which worker, which limits, in which order. Not here: a worker's life (see sql_process.py), what it does
(see sql_worker.py), HTTP (see lakehouse_api/routes/sql.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import time
from collections.abc import AsyncIterator
from pathlib import Path

from lakehouse.adapters.objects import S3Location
from lakehouse.adapters.s3_keys import KeySource, S3Keys
from lakehouse.adapters.sql_process import SqlProcess, WorkerDied
from lakehouse.adapters.sql_turns import Turns
from lakehouse.adapters.sql_worker import PREPARED_CACHE
from lakehouse.catalog.snapshot import CatalogSnapshot
from lakehouse.errors import BadInput, LakehouseError, TimedOut, Unavailable
from lakehouse.query.gate import MAX_SQL_BYTES
from lakehouse.query.request import Answer, EngineConfig, Execute, Prepare, Prepared, SqlRequest
from lakehouse.query.resolve import MemoryTables, Past, is_known, resolve_view, shown_names
from lakehouse.query.views import Views
from lakehouse.settings import Settings

Frame = tuple[bytes, bytes]


class SqlPool:
    """Runs queries for one event loop.

    Args:
        settings: Limits and how many workers.
        location: The bucket, with keys that can only read.
        temp_root: Folder for what queries spill to disk.
        memory: What stands behind reserved names; None: nothing.
    """

    def __init__(
        self, settings: Settings, location: S3Location, *, temp_root: Path, memory: MemoryTables | None = None
    ) -> None:
        self._settings = settings
        self._location = location
        self._keys = KeySource(location)
        self._temp_root = temp_root
        self._turns: Turns[SqlProcess | None] = Turns()
        self._workers: set[SqlProcess] = set()
        self._engine: tuple[S3Keys, EngineConfig] | None = None
        self._views = Views(location.bucket)
        self._memory = memory
        self._prepared: dict[str, Prepared] = {}
        self._busy = 0
        self._killed = 0
        self._ending: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Make room; workers start with the first query."""
        for _ in range(self._settings.sql_workers):
            self._turns.give(None)
        self._ending = asyncio.create_task(self._end_idle())

    async def stop(self) -> None:
        """Kill every worker."""
        if self._ending is not None:
            self._ending.cancel()
            await asyncio.gather(self._ending, return_exceptions=True)
        for worker in tuple(self._workers):
            await worker.end()
        self._workers.clear()

    def stats(self) -> dict[str, int]:
        """How many workers there are and may be, how many are at work, and how many were killed."""
        return {
            "workers": len(self._workers),
            "limit": self._settings.sql_workers,
            "busy": self._busy,
            "killed": self._killed,
        }

    async def run(
        self,
        request: SqlRequest,
        *,
        snapshot: CatalogSnapshot,
        has_pii: bool,
        past: Past | None = None,
    ) -> Answer:
        """Answer a JSON query, whole.

        Args:
            request: The query.
            snapshot: The catalog it sees.
            has_pii: True: personal data shows.
            past: How old versions are read, for a request with a time.

        Raises:
            BadInput: It does not parse, bind or run.
            Forbidden: It does something else than read, or needs the scope `pii`.
            TimedOut: It was stopped at its time limit.
            InsufficientStorage: It was stopped at its memory or disk limit.
            Unavailable: No worker was free in time, or the store did not answer.
        """
        async with self._worker() as worker, self._stopping_what_is_left(worker):
            async with asyncio.timeout(self._settings.sql_timeout_s):
                _, payload = await self._begin(worker, request, snapshot, has_pii=has_pii, past=past)
            answer: Answer = pickle.loads(payload)  # noqa: S301 - from our own child
            return answer

    @contextlib.asynccontextmanager
    async def stream(
        self,
        request: SqlRequest,
        *,
        snapshot: CatalogSnapshot,
        has_pii: bool,
        past: Past | None = None,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Answer an Arrow or CSV query as chunks of bytes; errors as `run`, and the first chunk is there already.

        The time limit counts what the engine takes; waiting for a slow client does not count.
        """
        async with self._worker() as worker, self._stopping_what_is_left(worker):
            async with asyncio.timeout(self._settings.sql_timeout_s):
                first = await self._begin(worker, request, snapshot, has_pii=has_pii, past=past)
            chunks = _Chunks(worker, first, self._settings.sql_timeout_s)
            yield chunks
            if not chunks.is_done:
                await worker.cancel()

    async def prepare(self, sql: str) -> Prepared:
        """Parse and gate a statement without running it; raises as `run`."""
        async with self._worker() as worker, self._stopping_what_is_left(worker):
            async with asyncio.timeout(self._settings.sql_timeout_s):
                return await self._prepare(worker, sql)

    async def _begin(
        self,
        worker: SqlProcess,
        request: SqlRequest,
        snapshot: CatalogSnapshot,
        *,
        has_pii: bool,
        past: Past | None,
    ) -> Frame:
        """Parse, gate, resolve names, run: gives the first frame of the answer."""
        prepared = await self._prepare(worker, request.sql)
        # A name that the query's own WITH gives need not be one of the catalog's.
        wanted = sorted(name for name in prepared.tables if name not in prepared.ctes or is_known(name, snapshot))
        views = [
            await resolve_view(name, snapshot, views=self._views, has_pii=has_pii, past=past, memory=self._memory)
            for name in wanted
        ]
        names = shown_names(snapshot) if prepared.is_show_tables else ()
        limit = request.max_rows or (self._settings.sql_max_rows if request.format == "json" else None)
        absent = tuple(prepared.tables.difference(wanted))
        return await worker.execute(Execute(request.sql, tuple(views), has_pii, request.format, limit, names, absent))

    async def _prepare(self, worker: SqlProcess, sql: str) -> Prepared:
        if len(sql.encode("utf-8", "replace")) > MAX_SQL_BYTES:
            raise BadInput(f"the SQL has more than {MAX_SQL_BYTES >> 10} KiB")
        prepared = self._prepared.get(sql)
        if prepared is None:
            _, payload = await worker.ask(Prepare(sql))
            prepared = pickle.loads(payload)  # noqa: S301 - from our own child
            if len(self._prepared) >= PREPARED_CACHE:
                self._prepared.clear()
            self._prepared[sql] = prepared
        return prepared

    @contextlib.asynccontextmanager
    async def _worker(self) -> AsyncIterator[SqlProcess]:
        """Lend a worker; it goes back to the pool when it is sound, and is replaced otherwise."""
        try:
            worker = await self._turns.take(self._settings.sql_queue_timeout_s)
        except TimeoutError:
            raise Unavailable("all SQL workers are busy; try again", retry_after_s=5) from None
        self._busy += 1
        try:
            config = self._config()
            if worker is None or worker.process.returncode is not None or worker.config is not config:
                await self._retire(worker)
                worker = None
                worker = await SqlProcess.start(config, self._temp_root)
                self._workers.add(worker)
            yield worker
        finally:
            self._busy -= 1
            if worker is not None and not worker.is_sound:
                self._killed += 1
                await asyncio.shield(self._retire(worker))
                worker = None
            if worker is not None:
                worker.used_s = time.monotonic()
            self._turns.give(worker)

    @contextlib.asynccontextmanager
    async def _stopping_what_is_left(self, worker: SqlProcess) -> AsyncIterator[None]:
        """Stop the query when the body ends otherwise than by an answer: time limit, client gone, failure."""
        try:
            yield
        except LakehouseError:
            raise  # the worker itself reported it, so its query has ended
        except TimeoutError:
            await asyncio.shield(worker.cancel())
            limit_s = self._settings.sql_timeout_s
            raise TimedOut(f"the query ran past its limit of {limit_s:g} s and was stopped; narrow it") from None
        except BaseException:
            await asyncio.shield(worker.cancel())
            raise

    async def _end_idle(self) -> None:
        """End workers that have run nothing for a while, as long as the pool is open."""
        while True:
            await asyncio.sleep(self._settings.sql_idle_s / 4)
            for worker in self._turns.exchange(self._is_over, None):
                await self._retire(worker)

    def _is_over(self, worker: SqlProcess | None) -> bool:
        return worker is not None and time.monotonic() - worker.used_s >= self._settings.sql_idle_s

    async def _retire(self, worker: SqlProcess | None) -> None:
        if worker is not None:
            await worker.end()
            self._workers.discard(worker)  # last, so that `stop` still ends it when this is cancelled

    def _config(self) -> EngineConfig:
        where, settings, keys = self._location, self._settings, self._keys.current()
        if self._engine is not None and self._engine[0] == keys:
            return self._engine[1]
        config = EngineConfig(
            endpoint=where.endpoint,
            bucket=where.bucket,
            region=where.region,
            access_key_id=keys.access_key_id,
            secret_access_key=keys.secret_access_key,
            session_token=keys.session_token,
            read_timeout_s=where.read_timeout_s,
            memory_bytes=settings.sql_memory_bytes,
            temp_bytes=settings.sql_temp_bytes,
            threads=settings.sql_threads,
            temp_folder="",  # each worker has its own
            ca_file=where.ca_file,
        )
        self._engine = keys, config
        return config


class _Chunks:
    """A stream's bytes, frame by frame."""

    def __init__(self, worker: SqlProcess, first: Frame, left_s: float) -> None:
        self._worker = worker
        self._frame: Frame | None = first
        self._left_s = left_s
        self.is_done = first[0] != b"D"

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._frame is None:
            begun = asyncio.get_running_loop().time()
            async with asyncio.timeout(self._left_s):
                self._frame = await self._worker.next()
            self._left_s -= asyncio.get_running_loop().time() - begun
        kind, payload = self._frame
        if kind != b"D":
            self.is_done = True
            raise StopAsyncIteration
        self._frame = None
        return payload


__all__ = ["SqlPool", "WorkerDied"]
