"""Lingering close: the input of a client that still sends is discarded for a while, so that it reads its answer.

Closing a socket with unread input resets the connection, and the reset destroys an answer that the client has not read
yet. Most clients send the whole body before they read the answer.

Belongs here: `LingeringWrites`, and how much and how long is thrown away. Not here: who is refused (see
middleware_door.py, middleware_body.py), when a connection ends (see middleware_context.py).

Source: RFC 9112, section 9.6.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lakehouse_api.joined_writes import JoinedWrites

# Enough for an upload that is somewhat over the default cap of 256 MiB to be sent to its end.
MOST_BYTES = 512 << 20
# The defaults of nginx.
SILENCE_S = 5.0
MOST_S = 30.0


class LingeringWrites(JoinedWrites):
    """A transport whose `close` in the middle of a request body first ends the output, and closes later.

    It closes when the client does, when the client has sent nothing for `silence_s` or more than `most_bytes`, after
    `most_s` in any case, and at once when it is closed a second time.

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
        """Discard input after the answer."""
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
        """Set the one timer, which checks how long the client has been silent."""
        at_s = min(self._heard_s + self.silence_s, self._until_s)
        self._timer = self._loop.call_at(at_s, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._loop.time() >= min(self._heard_s + self.silence_s, self._until_s):
            self.let_go()
        else:
            self._look_later()
