"""Clients that stop reading their answer: a stalled client keeps what the answer holds, such as a SQL worker or a file.

Belongs here: `StallWatch`. Not here: clients that send nothing (see http_protocol.py, limits.py).
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import termios
from contextlib import suppress

import structlog

_log = structlog.get_logger("lakehouse.connection")


class StallWatch:
    """Aborts a connection whose client reads nothing of a waiting answer, which then ends as if the client had left.

    Args:
        transport: The connection.
        loop: Its loop.
        client: Address and port, for the log.
        client_stall_s: The longest time in which a client may take nothing.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        *,
        client: tuple[str, int] | None,
        client_stall_s: float,
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._client = client
        self._client_stall_s = client_stall_s
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """The client is slower than its answer: from now on it is watched."""
        self._look_later(self._waiting_bytes())

    def end(self) -> None:
        """The client has taken what waited, or is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self, waiting_bytes: int) -> None:
        self._timer = self._loop.call_later(self._client_stall_s, self._look, waiting_bytes)

    def _look(self, before_bytes: int) -> None:
        waiting_bytes = self._waiting_bytes()
        if waiting_bytes < before_bytes:
            self._look_later(waiting_bytes)
            return
        _log.warning("connection broken: the client took nothing", client=self._client, for_s=self._client_stall_s)
        self._transport.abort()

    def _waiting_bytes(self) -> int:
        """Bytes that the client has not read: held here, or in the kernel, which frees them in large steps."""
        in_kernel = array.array("i", [0])
        with suppress(OSError):
            fcntl.ioctl(self._transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, in_kernel)
        return self._transport.get_write_buffer_size() + in_kernel[0]
