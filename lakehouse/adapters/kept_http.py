"""HTTP/1.1 over kept connections at a few microseconds a request, for callers that ask very often.

A general client costs more than many a request does. This one asks one thing at a time on each connection, reads whole
answers into memory, and neither follows redirects nor retries; for more there is httpx.

Belongs here: connections, requests and answers as bytes. Not here: what is asked (see load_driver.py).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from lakehouse.errors import Unavailable

_MAX_HEAD_BYTES = 64 << 10
_MAX_BODY_BYTES = 64 << 20
_PORTS = {"http": 80, "https": 443}
# Servers close idle connections, some after 2 s, uvicorn after 5. A connection idle for this long is replaced.
_MOST_IDLE_S = 1.5
_CONNECT_TIMEOUT_S = 5.0


class Broken(Exception):
    """A request without an answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go.

    Args:
        url: `http` or `https`, with the sub-path behind a proxy.
        headers: Sent with each request.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def head(self, method: str, path: str) -> bytes:
        """A request's head without the Content-Length."""
        parts = urlsplit(self.url)
        lines = "".join(f"{name}: {value}\r\n" for name, value in {"Host": parts.netloc, **self.headers}.items())
        return f"{method} {parts.path.rstrip('/')}{path} HTTP/1.1\r\n{lines}".encode()

    async def open(self) -> _Protocol:
        """A new connection.

        Raises:
            Unavailable: Nobody takes it.
        """
        parts = urlsplit(self.url)
        context = ssl.create_default_context() if parts.scheme == "https" else None
        port = parts.port or _PORTS[parts.scheme]
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                loop = asyncio.get_running_loop()
                _, protocol = await loop.create_connection(_Protocol, parts.hostname or "", port, ssl=context)
        except TimeoutError:
            raise Unavailable(f"nothing answers at {self.url} (no connection in {_CONNECT_TIMEOUT_S:g} s)") from None
        except OSError as error:
            raise Unavailable(f"nothing answers at {self.url} ({error.strerror or error})") from None
        return protocol


class KeptConnection:
    """A connection that is opened when it is needed, and again when it was closed; for one task at a time.

    Args:
        target: Where it leads.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._heads: dict[tuple[str, str], bytes] = {}
        self._protocol: _Protocol | None = None
        self._asked_at: float | None = None
        self._idle_since = 0.0

    async def connect(self) -> None:
        """Open it.

        Raises:
            Unavailable: Nobody takes it.
        """
        self._protocol = await self._target.open()
        self._idle_since = time.perf_counter()

    async def ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes, float]:
        """Send a request; its status, its body, and when its last byte was here (`perf_counter`).

        Raises:
            Broken: There was no answer.
        """
        protocol = self._protocol
        self._asked_at = time.perf_counter()
        try:
            if protocol is None or protocol.is_closed or self._asked_at - self._idle_since > _MOST_IDLE_S:
                protocol = await self._again()
            return await protocol.ask(b"%bContent-Length: %d\r\n\r\n%b" % (self._head(method, path), len(body), body))
        finally:
            self._asked_at, self._idle_since = None, time.perf_counter()

    def give_up_before(self, moment: float) -> None:
        """Break the connection if it has been waiting for an answer since before a moment (`perf_counter`)."""
        if self._asked_at is not None and self._asked_at < moment and self._protocol is not None:
            self._protocol.fail("no answer in time")

    def close(self) -> None:
        """Close it."""
        if self._protocol is not None:
            self._protocol.close()

    async def _again(self) -> _Protocol:
        self.close()
        self._protocol = None
        try:
            self._protocol = await self._target.open()
        except Unavailable as error:
            raise Broken(error.detail) from None
        return self._protocol

    def _head(self, method: str, path: str) -> bytes:
        head = self._heads.get((method, path))
        if head is None:
            head = self._target.head(method, path)
            if len(self._heads) < 100:
                self._heads[method, path] = head
        return head


class _Protocol(asyncio.Protocol):
    """One connection's bytes."""

    def __init__(self) -> None:
        self.is_closed = False
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[tuple[int, bytes, float]] | None = None
        self._gathered = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Gather, and hand over an answer that is whole."""
        if self._waiter is None:
            self.fail("the service said something unasked")
            return
        self._gathered = self._gathered + data if self._gathered else data
        try:
            answer = read_answer(self._gathered)
        except Broken as error:
            self.fail(str(error))
            return
        if answer is not None:
            self._hand_over(*answer)

    def eof_received(self) -> None:
        """The service says no more: what has come may be a whole answer without a length."""
        if self._waiter is not None and self._gathered:
            try:
                answer = read_answer(self._gathered, is_whole=True)
            except Broken:
                return
            if answer is not None:
                self._hand_over(*answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, and so is whatever was waited for."""
        self.fail("the connection broke" if exc is None else f"the connection broke ({type(exc).__name__})")

    def ask(self, request: bytes) -> asyncio.Future[tuple[int, bytes, float]]:
        """Write a request; its answer to come."""
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        if self._transport is None or self.is_closed:
            self.fail("the connection broke")
        else:
            self._transport.write(request)
        return waiter

    def fail(self, reason: str) -> None:
        """End the connection, and what is waited for on it."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(Broken(reason))
        self.is_closed = True
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """End the connection in an orderly way."""
        self.is_closed = True
        if self._transport is not None:
            self._transport.close()

    def _hand_over(self, status: int, body: bytes, is_last: bool) -> None:
        waiter, self._waiter, self._gathered = self._waiter, None, b""
        if is_last:
            self.close()
        if waiter is not None and not waiter.done():
            waiter.set_result((status, body, time.perf_counter()))


def read_answer(data: bytes, *, is_whole: bool = False) -> tuple[int, bytes, bool] | None:
    """Read an answer: its status, its body, whether the connection ends with it; None while more is to come.

    Args:
        data: All bytes since the request.
        is_whole: Whether nothing more will come.

    Raises:
        Broken: It is no HTTP/1.1, or too large.
    """
    end = data.find(b"\r\n\r\n")
    if not data.startswith(b"HTTP/1."[: len(data)]) or (end < 0 and len(data) > _MAX_HEAD_BYTES):
        raise Broken("the answer is not HTTP/1.1")
    if end < 0:
        return None
    head, start = data[:end].lower() + b"\r\n", end + 4
    status = _number(data[9:12])
    if status < 200:  # an interim answer, before the answer
        return read_answer(data[start:], is_whole=is_whole) if len(data) > start else None
    is_last = b"\r\nconnection: close\r\n" in head or head.startswith(b"http/1.0")
    if status in (204, 304):
        return status, b"", is_last
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        length = _number(head[at + 17 : head.index(b"\r\n", at + 2)])
        if length > _MAX_BODY_BYTES:
            raise Broken("the answer is too large")
        return (status, data[start : start + length], is_last) if len(data) - start >= length else None
    if b"\r\ntransfer-encoding: chunked\r\n" in head:
        body = _unchunked(data, start)
        return None if body is None else (status, body, is_last)
    if len(data) - start > _MAX_BODY_BYTES:
        raise Broken("the answer is too large")
    return (status, data[start:], True) if is_whole else None


def _unchunked(data: bytes, at: int) -> bytes | None:
    """The body of chunks, None while more is to come."""
    parts: list[bytes] = []
    total = 0
    while (end := data.find(b"\r\n", at)) >= 0:
        size = _number(data[at:end].split(b";")[0], base=16)
        at = end + 2 + size + 2
        total += size
        if total > _MAX_BODY_BYTES:
            raise Broken("the answer is too large")
        if size == 0:
            # Trailers end with an empty line, as an answer without trailers does at once.
            is_over = data.startswith(b"\r\n", end + 2) or data.find(b"\r\n\r\n", end) >= 0
            return b"".join(parts) if is_over else None
        if len(data) < at:
            return None
        parts.append(data[end + 2 : at - 2])
    return None


def _number(text: bytes, *, base: int = 10) -> int:
    try:
        number = int(text, base)
    except ValueError:
        raise Broken("the answer is not HTTP/1.1") from None
    if number < 0:
        raise Broken("the answer is not HTTP/1.1")
    return number
