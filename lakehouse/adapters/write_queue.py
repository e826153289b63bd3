"""Grouping writes to one corpus: those that come while a commit runs go into the next commit together.

There is no timer; a commit takes about as long for one row as for a thousand.

Belongs here: who waits for which commit. Not here: the commit (see corpora.py).
"""

from __future__ import annotations

import asyncio
from typing import Any


class WriteQueue:
    """Writes that wait for the commit before them."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Any, asyncio.Future[str]]] = []
        self._is_busy = False

    async def put(self, rows: Any, commit: Any) -> str:
        """Wait until the rows are in a commit; gives its revision."""
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, done))
        if not self._is_busy:
            self._is_busy = True
            self._task = asyncio.create_task(self._drain(commit))
        return await done

    async def _drain(self, commit: Any) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                try:
                    revision = await commit([rows for rows, _ in group])
                except Exception as error:  # raised to each caller of the group
                    _finish(group, lambda done, e=error: done.set_exception(e))
                else:
                    _finish(group, lambda done, r=revision: done.set_result(r))
        finally:
            self._is_busy = False


def _finish(group: list[tuple[Any, asyncio.Future[str]]], settle: Any) -> None:
    for _, done in group:
        if not done.done():
            settle(done)
