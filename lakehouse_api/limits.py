"""Limits on concurrency and silence: a gate that refuses at once or after a wait, the longest pause of a client.

Belongs here: counting what is in flight. Not here: sizes of bodies (see middleware_body.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from lakehouse.counted import counted
from lakehouse.errors import LakehouseError, Unavailable

# A client must not keep its place for ever: so long it is waited for, in the middle of a body, until so much has come.
IDLE_TIMEOUT_S = 60.0
LEAST_BODY_BYTES = 1 << 10


class Gate:
    """At most `limit` holders at a time; one more waits for its turn, or is told to come back. For one event loop.

    Args:
        limit: How many may hold it.
        what: What one of them is, for the message.
        retry_after_s: When to come back.
    """

    def __init__(self, limit: int, what: str, *, retry_after_s: int = 5) -> None:
        self._limit = limit
        self._what = what
        self._retry_after_s = retry_after_s
        self._held = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def held(self) -> int:
        """How many hold it now."""
        return self._held

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold a place for the length of the context.

        Raises:
            Unavailable: All places are taken.
        """
        if self._held >= self._limit:
            raise self._refusal()
        self._held += 1
        try:
            yield
        finally:
            self._let_go()

    @asynccontextmanager
    async def hold_in_turn(self, wait_s: float) -> AsyncIterator[None]:
        """Hold a place, as soon as there is one; those who came first are first.

        Args:
            wait_s: The longest wait.

        Raises:
            Unavailable: No place came free.
        """
        if self._held < self._limit:
            self._held += 1
        else:
            await self._turn(wait_s)
        try:
            yield
        finally:
            self._let_go()

    async def _turn(self, wait_s: float) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(wait_s):
                await turn
        except BaseException as error:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif turn.done() and not turn.cancelled():  # the place came in the moment in which we gave up
                self._let_go()
            if isinstance(error, TimeoutError):
                raise self._refusal() from None
            raise

    def _let_go(self) -> None:
        """Give the place to whoever waits longest, or back."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._held -= 1

    def _refusal(self) -> Unavailable:
        return Unavailable(
            f"{counted(self._limit, self._what, 'is')} in flight already; try again in {self._retry_after_s} s",
            retry_after_s=self._retry_after_s,
        )


class BodyTimeout(LakehouseError):
    """The client stopped sending."""

    status = 408
    title = "Request timeout"


class BodyPace:
    """How long a client is still waited for in the middle of a body; what takes us time does not count.

    Args:
        idle_s: How long, until `LEAST_BODY_BYTES` have come.
    """

    __slots__ = ("_came_bytes", "_idle_s", "left_s")

    def __init__(self, idle_s: float) -> None:
        self._idle_s = self.left_s = idle_s
        self._came_bytes = 0

    def took(self, waited_s: float, size_bytes: int) -> None:
        """So many bytes have come after a wait."""
        self.left_s -= waited_s
        self._came_bytes += size_bytes
        if self._came_bytes >= LEAST_BODY_BYTES:
            self.left_s, self._came_bytes = self._idle_s, 0

    def timeout(self) -> BodyTimeout:
        """What a client gets that is waited for no longer."""
        least = f"{LEAST_BODY_BYTES >> 10} KiB"
        return BodyTimeout(f"less than {least} came within {self._idle_s:g} s in the middle of the body; send it again")
