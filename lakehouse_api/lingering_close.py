"""The end of a connection whose client still sends: what comes is thrown away for a while, so that it reads its answer.

A socket that is closed over bytes that nobody has read resets the connection, and the reset takes the answer along that
the client has not read yet: most clients send a body to its end before they look for an answer.

Belongs here: `LingeringWrites`, and how much and how long is thrown away. Not here: who is refused (see
middleware_door.py, middleware_body.py), when a connection ends (see middleware_context.py).

Source: RFC 9112, section 9.6.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lakehouse_api.joined_writes import JoinedWrites

# An upload that is a little over the cap of its folder (256 MiB) comes to its end.
MOST_BYTES = 512 << 20
# As nginx has them.
SILENCE_S = 5.0
MOST_S = 30.0


class LingeringWrites(JoinedWrites):
    """A transport whose `close`, while a body is under way, says the end, and closes only when the client has heard it.

    It closes when the client does, when it has sent nothing for `silence_s`, or more than `most_bytes`, after `most_s`
    in any case, and at once where it is closed a second time.

    Args:
        transport: Where it goes.
        loop: Its loop.
        is_in_body: Whether more of a request is to come.
    """

    most_bytes = MOST_BYTES
    silence_s = SILENCE_S
    most_s = MOST_S

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, *, is_in_body: Callable[[], bool]
    ) -> None:
        super().__init__(transport, loop)
        self._is_in_body = is_in_body
        self._timer: asyncio.TimerHandle | None = None
        self._left_bytes = 0
        self._until_s = self._heard_s = 0.0
        self.is_lingering = False

    def is_closing(self) -> bool:
        """Whether the connection has ended, or is about to."""
        return self.is_lingering or self._transport.is_closing()

    def close(self) -> None:
        """End the connection when everything has gone out, and a client in the middle of a body has heard of it."""
        if self.is_closing() or not self._is_in_body():
            self.let_go()
            return
        self.flush()
        self.is_lingering = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._transport.resume_reading()
        self._left_bytes = self.most_bytes
        self._heard_s = self._loop.time()
        self._until_s = self._heard_s + self.most_s
        self._look_later()

    def discard(self, data: bytes) -> None:
        """Throw away what a client sends that was told the end."""
        self._left_bytes -= len(data)
        self._heard_s = self._loop.time()
        if self._left_bytes < 0:
            self.let_go()

    def let_go(self) -> None:
        """Close now; to be called too when the connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().close()

    def _look_later(self) -> None:
        """One timer however often the client sends: it looks how long the silence is."""
        at_s = min(self._heard_s + self.silence_s, self._until_s)
        self._timer = self._loop.call_at(at_s, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._loop.time() >= min(self._heard_s + self.silence_s, self._until_s):
            self.let_go()
        else:
            self._look_later()
