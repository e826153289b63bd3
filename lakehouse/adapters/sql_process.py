"""One SQL worker process as its parent sees it: start, messages, frames, cancel, end.

Belongs here: a process's life. Not here: what it does (see sql_worker.py), which query goes where (see sql_pool.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import shutil
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lakehouse.adapters.sql_frames import FRAME
from lakehouse.adapters.sql_worker import BESIDE_THE_ENGINE_BYTES, CANCEL
from lakehouse.errors import InsufficientStorage, LakehouseError, Unavailable
from lakehouse.query.request import EngineConfig, Execute

_KILL_AFTER_S = 1.0
_START_TIMEOUT_S = 30.0
_READ_AHEAD_BYTES = 4 << 20
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_DATA_FIELD = 5  # of /proc/<pid>/statm, in pages: what counts against the limit that the worker sets itself
# Kinds of frames that end the answer to a message.
_ENDS = (b"P", b"J", b"E", b"X")


class WorkerDied(Unavailable):
    """A worker ended in the middle of a query."""


@dataclass(eq=False, slots=True)
class SqlProcess:
    """A worker of one's own. `is_sound` is False from the moment it must not be given another query.

    `cancelling` is the pipe for numbers of messages to be cancelled; its end tells the worker that nobody needs it;
    `used_s` is when its last query was done, on the clock that only rises.
    """

    process: asyncio.subprocess.Process
    folder: Path
    config: EngineConfig
    cancelling: int
    is_sound: bool = True
    used_s: float = 0.0
    _number: int = 0
    _is_asked: bool = False
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
        cancelled, cancelling = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "lakehouse.adapters.sql_worker",
                str(cancelled),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=(cancelled,),
                limit=_READ_AHEAD_BYTES,
            )
        except BaseException:
            os.close(cancelling)
            raise
        finally:
            os.close(cancelled)
        worker = cls(process, folder, config, cancelling)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await worker._write(replace(config, temp_folder=str(folder)))
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
        # Whatever happens to the query, the worker replaces these views.
        for name in (*message.absent, *(view.name for view in unknown)):
            self._known_views.pop((message.is_full, name), None)
        answer = await self.ask(message if unknown == message.views else message._replace(views=unknown))
        self._known_views |= {(message.is_full, v.name): v.identity for v in unknown}
        return answer

    async def send(self, message: Any) -> None:
        """Send a message; both sides count them."""
        self._number += 1
        self._is_asked = True
        await self._write(message)

    async def _write(self, message: Any) -> None:
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
            error: LakehouseError = pickle.loads(payload)  # noqa: S301 - from our own child
            if isinstance(error, InsufficientStorage):
                await self._end_if_swollen()
            raise error
        return kind, payload

    async def frame(self) -> tuple[bytes, bytes]:
        """The next frame, whatever it is.

        Raises:
            WorkerDied: The process has ended.
        """
        assert self.process.stdout is not None
        try:
            kind, length = FRAME.unpack(await self.process.stdout.readexactly(FRAME.size))
            payload = await self.process.stdout.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise self._died() from None
        self._is_asked = self._is_asked and kind not in _ENDS
        return kind, payload

    async def cancel(self) -> None:
        """Interrupt the query and discard what it still sends; a worker that does not stop in 1 s is killed."""
        try:
            async with asyncio.timeout(_KILL_AFTER_S):
                if self._is_asked:
                    os.write(self.cancelling, CANCEL.pack(self._number))
                while self._is_asked:
                    await self.frame()
        except (TimeoutError, OSError, LakehouseError):
            await self.end()
        await self._end_if_swollen()

    async def _end_if_swollen(self) -> None:
        """Kill it when it has no room for another query's whole memory.

        The engine gives memory back and keeps its addresses, which count against the worker's limit: after a query that
        took all there is, even small ones could be refused.
        """
        if self.is_sound and self._data_bytes() > BESIDE_THE_ENGINE_BYTES:
            await self.end()

    def _data_bytes(self) -> int:
        try:
            return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[_DATA_FIELD]) * _PAGE_BYTES
        except (OSError, IndexError):  # it has ended
            return 0

    async def end(self) -> None:
        """Kill it and remove its folder."""
        self.is_sound = False
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        if self.cancelling >= 0:
            os.close(self.cancelling)
            self.cancelling = -1
        await self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _died(self) -> WorkerDied:
        self.is_sound = False
        return WorkerDied(
            "the query's process ended before it was done (memory?); narrow the query or try again", retry_after_s=1
        )
