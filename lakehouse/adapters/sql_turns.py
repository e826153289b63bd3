"""The queue for idle workers: callers are served in order of arrival, with the worker that was used last.

Belongs here: waiting. Not here: what a worker is (see sql_process.py), who uses it (see sql_pool.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Worker = TypeVar("Worker")


class Turns(Generic[Worker]):
    """Idle workers of one event loop, and who waits for one."""

    def __init__(self) -> None:
        self._idle: list[Worker] = []
        self._waiting: deque[asyncio.Future[Worker]] = deque()

    async def take(self, timeout_s: float) -> Worker:
        """An idle worker; those who came before are served before.

        Raises:
            TimeoutError: None was free in time.
        """
        if self._idle:
            return self._idle.pop()
        turn: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(timeout_s):
                return await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self.give(turn.result())  # a worker was handed over at the moment of the timeout
            raise

    def give(self, worker: Worker) -> None:
        """A worker is idle (again)."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(worker)
                return
        self._idle.append(worker)

    def exchange(self, is_over: Callable[[Worker], bool], instead: Worker) -> list[Worker]:
        """Put `instead` in the places of those idle workers whose time `is_over`; gives them, for good."""
        over = [worker for worker in self._idle if is_over(worker)]
        self._idle = [instead if worker in over else worker for worker in self._idle]
        return over
