"""One HTTP connection: uvicorn's own, with a limit on headers and an end for clients that take nothing.

The parser gathers headers before anybody is asked, and a stalled client keeps whatever its answer holds (a SQL worker,
a file), so both are bounded here, where the bytes pass.

Belongs here: what a connection may cost. Not here: bodies (see middleware_body.py, spool.py), who is served (see
middleware_door.py).
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import termios
from contextlib import suppress

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from lakehouse.clock import new_id
from lakehouse.errors import LakehouseError
from lakehouse_api.errors import problem_response
from lakehouse_api.joined_writes import JoinedWrites
from lakehouse_api.limits import IDLE_TIMEOUT_S

MAX_HEAD_BYTES = 64 << 10
_log = structlog.get_logger("lakehouse.connection")


class HeadTooLarge(LakehouseError):
    """The request line and the headers are larger than allowed."""

    status = 431
    title = "Request header fields too large"


class BoundedProtocol(HttpToolsProtocol):
    """A connection whose headers and whose silence have an end.

    `client_stall_s` is the longest time in which a client takes nothing of an answer that waits for it.
    """

    client_stall_s = IDLE_TIMEOUT_S

    # Bytes since a head, a part of a body or a request ended: what the parser may be gathering.
    _gathered_bytes = 0
    _is_in_head = True
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, with the parts of an answer joined."""
        super().connection_made(JoinedWrites(transport, self.loop))  # type: ignore[arg-type]

    def eof_received(self) -> None:
        """The client says no more, and may still listen: the transport closes after this."""
        self.transport.flush()  # type: ignore[attr-defined]
        super().eof_received()

    def data_received(self, data: bytes) -> None:
        """Parse what came, and stop at the limit."""
        self._gathered_bytes += len(data)
        if self._gathered_bytes <= MAX_HEAD_BYTES:
            HttpToolsProtocol.data_received(self, data)
        else:
            self._gathered_bytes -= len(data)
            self._parse_to_the_limit(data)

    def _parse_to_the_limit(self, data: bytes) -> None:
        while data and not self.transport.is_closing():
            room = MAX_HEAD_BYTES - self._gathered_bytes if self._is_in_head else len(data)
            self._gathered_bytes += min(room, len(data))
            HttpToolsProtocol.data_received(self, data[:room])
            data = data[room:]
            # Trailers are headers too, and come with no part of the body.
            if self._gathered_bytes > MAX_HEAD_BYTES or (data and self._gathered_bytes == MAX_HEAD_BYTES):
                self._refuse()

    def on_headers_complete(self) -> None:
        self._gathered_bytes = 0
        self._is_in_head = False
        HttpToolsProtocol.on_headers_complete(self)

    def on_body(self, body: bytes) -> None:
        self._gathered_bytes = 0
        HttpToolsProtocol.on_body(self, body)

    def on_message_complete(self) -> None:
        self._gathered_bytes = 0
        self._is_in_head = True
        HttpToolsProtocol.on_message_complete(self)

    def _refuse(self) -> None:
        """Answer 431, unless another answer is on its way, and close."""
        if self.transport.is_closing():
            return
        _log.warning("connection closed: its headers do not end", client=self.client)
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
            return
        request_id = new_id()
        detail = f"the request line and the headers have at most {MAX_HEAD_BYTES >> 10} KiB here"
        error = HeadTooLarge(detail, max_bytes=MAX_HEAD_BYTES)
        response = problem_response(error, {"state": {"request_id": request_id}})
        headers = [*response.raw_headers, (b"x-request-id", request_id.encode()), (b"connection", b"close")]
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[error.status] + lines + b"\r\n" + bytes(response.body))
        self.transport.close()

    def pause_writing(self) -> None:
        """The client is slower than its answer: from now on it is watched."""
        super().pause_writing()
        self._watch(self._waiting_bytes())

    def resume_writing(self) -> None:
        """The client has taken what waited."""
        self._unwatch()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; whoever writes the answer hears of it."""
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self, waiting_bytes: int) -> None:
        self._stall = self.loop.call_later(self.client_stall_s, self._look, waiting_bytes)

    def _unwatch(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _look(self, before_bytes: int) -> None:
        """Break the connection when nothing has gone out; its answer then ends as when the client leaves."""
        waiting_bytes = self._waiting_bytes()
        if waiting_bytes < before_bytes:
            self._watch(waiting_bytes)
            return
        _log.warning("connection broken: the client took nothing", client=self.client, for_s=self.client_stall_s)
        self.transport.abort()

    def _waiting_bytes(self) -> int:
        """What the client has not taken: here, and in the kernel, which makes room for more only now and then."""
        in_kernel = array.array("i", [0])
        with suppress(OSError):
            fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, in_kernel)
        return self.transport.get_write_buffer_size() + in_kernel[0]


def bounded_protocol(client_stall_s: float) -> type[BoundedProtocol]:
    """The protocol for uvicorn's configuration, which makes one per connection."""
    return type("BoundedProtocol", (BoundedProtocol,), {"client_stall_s": client_stall_s})
