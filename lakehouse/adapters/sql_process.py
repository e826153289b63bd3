"""One SQL worker process as its parent sees it: start, messages, frames, cancel, end.

Belongs here: a process's life. Not here: what it does (see sql_worker.py), which query goes where (see sql_pool.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import shutil
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lakehouse.adapters.sql_frames import FRAME
from lakehouse.adapters.sql_worker import CANCEL
from lakehouse.errors import LakehouseError, Unavailable
from lakehouse.query.request import EngineConfig, Execute

_KILL_AFTER_S = 1.0
_START_TIMEOUT_S = 30.0
_READ_AHEAD_BYTES = 4 << 20
_ENDS = (b"J", b"E", b"X")


class WorkerDied(Unavailable):
    """A worker ended in the middle of a query."""


@dataclass(eq=False, slots=True)
class SqlProcess:
    """A worker of one's own. `is_sound` is False from the moment it must not be given another query."""

    process: asyncio.subprocess.Process
    folder: Path
    config: EngineConfig
    is_sound: bool = True
    _known_views: dict[tuple[bool, str], str] = field(default_factory=dict)

    @classmethod
    async def start(cls, config: EngineConfig, temp_root: Path) -> SqlProcess:
        """Start one, and wait until it is ready.

        Raises:
            WorkerDied: It ended at once.
            TimeoutError: It was not ready in 30 s.
        """
        temp_root.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="sql-", dir=temp_root))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "lakehouse.adapters.sql_worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_READ_AHEAD_BYTES,
        )
        worker = cls(process, folder, config)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await worker.send(replace(config, temp_folder=str(folder)))
                await worker.frame()
        except BaseException:
            await worker.end()
            raise
        return worker

    async def ask(self, message: Any) -> tuple[bytes, bytes]:
        """Send a message and wait for the frame that answers it.

        Raises:
            LakehouseError: What the worker raised, or `WorkerDied`.
        """
        await self.send(message)
        return await self.next()

    async def execute(self, message: Execute) -> tuple[bytes, bytes]:
        """Run what was prepared; views that the worker has already are not sent again."""
        unknown = tuple(v for v in message.views if self._known_views.get((message.is_full, v.name)) != v.identity)
        # Whatever becomes of the query, the worker no longer has these as they were.
        for name in (*message.absent, *(view.name for view in unknown)):
            self._known_views.pop((message.is_full, name), None)
        answer = await self.ask(replace(message, views=unknown))
        self._known_views |= {(message.is_full, v.name): v.identity for v in unknown}
        return answer

    async def send(self, message: Any) -> None:
        """Send a message."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(pickle.dumps(message))
            await self.process.stdin.drain()
        except ConnectionError:
            raise self._died() from None

    async def next(self) -> tuple[bytes, bytes]:
        """The next frame; an error frame is raised."""
        kind, payload = await self.frame()
        if kind == b"X":
            raise pickle.loads(payload)  # noqa: S301 - from our own child
        return kind, payload

    async def frame(self) -> tuple[bytes, bytes]:
        """The next frame, whatever it is.

        Raises:
            WorkerDied: The process has ended.
        """
        assert self.process.stdout is not None
        try:
            kind, length = FRAME.unpack(await self.process.stdout.readexactly(FRAME.size))
            return kind, await self.process.stdout.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise self._died() from None

    async def cancel(self) -> None:
        """Interrupt the query and read off what it still sends; a worker that does not stop in 1 s is killed."""
        try:
            async with asyncio.timeout(_KILL_AFTER_S):
                await self.send(CANCEL)
                while (await self.frame())[0] not in _ENDS:
                    pass
        except (TimeoutError, LakehouseError):
            await self.end()

    async def end(self) -> None:
        """Kill it and remove its folder."""
        self.is_sound = False
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _died(self) -> WorkerDied:
        self.is_sound = False
        return WorkerDied(
            "the query's process ended before it was done (memory?); narrow the query or try again", retry_after_s=1
        )
