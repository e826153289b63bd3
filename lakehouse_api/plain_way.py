"""The plain way: the fastest path, which answers a plain request of a hot route without ASGI.

It does what the middlewares do, by calling their functions: ids, the door, the route, the audit line of a refusal, the
access log, the metrics. A request that is not plain, or whose body is large or slow, goes through the middlewares (see
quick_way.py, app.py), and a test compares the paths with each other.

Belongs here: one request and its answer. Not here: which requests are plain (see short_way.py), the connection (see
http_protocol.py), what a layer does (see middleware_door.py, middleware_context.py, middleware_audit.py), hot routes
(see hot_routes.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import structlog
from starlette.responses import Response
from starlette.types import Scope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE

from lakehouse.errors import LakehouseError
from lakehouse_api.auth import Principal
from lakehouse_api.errors import internal_error, problem_response
from lakehouse_api.hot_routes import Asked, Declared
from lakehouse_api.lingering_close import LingeringWrites
from lakehouse_api.middleware_audit import append_audit
from lakehouse_api.middleware_context import STOPPING, begun, record_end
from lakehouse_api.request_headers import text_of
from lakehouse_api.short_way import Headers, ShortWay

_log = structlog.get_logger("lakehouse.requests")


class Connection(Protocol):
    """What an exchange needs of its connection; uvicorn's protocol has all of it."""

    client: tuple[str, int] | None
    flow: FlowControl
    joined: LingeringWrites
    tasks: set[asyncio.Task[None]]

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """What every answer says."""
        ...

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        ...


class PlainExchange:
    """One plain request and its answer; the connection takes it for one of uvicorn's request cycles.

    Args:
        way: What the route works with.
        connection: Where it came from.
        route: The hot route.
        headers: By name in lower case, the first of each.
        principal: Who asks.
        keep_alive: False: the connection ends with the answer.
    """

    __slots__ = (
        "_connection", "_headers", "_principal", "_route", "_state", "_status", "_task", "_way", "body",
        "disconnected", "keep_alive", "message_event", "response_complete",
    )  # fmt: skip

    def __init__(
        self,
        way: ShortWay,
        connection: Connection,
        route: Declared,
        headers: Headers,
        principal: Principal,
        *,
        keep_alive: bool,
    ) -> None:
        self._way = way
        self._connection = connection
        self._route = route
        self._headers = headers
        self._principal = principal
        self._state: dict[str, Any] = begun(text_of(headers.get(b"x-request-id")), text_of(headers.get(b"x-task-id")))
        self._state["principal"] = principal
        self._status: int | None = None
        self._task: asyncio.Task[None] | None = None
        self.body = b""
        # Attributes that uvicorn's protocol reads and sets.
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False
        self.message_event = _NOBODY_WAITS

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to answer, in a task that a stopping server waits for."""
        self._task = loop.create_task(self._run())
        self._connection.tasks.add(self._task)

    async def _run(self) -> None:
        metrics = self._way.services.metrics
        metrics.in_flight += 1
        bytes_out = 0
        try:
            bytes_out = await self._answer()
        except asyncio.CancelledError:
            # The server is stopping, and its grace is over.
            if self._status is None:
                bytes_out = await self._respond(problem_response(STOPPING, self._scope()))
        except Exception:
            scope = self._scope()
            _log.exception("request failed", request_id=self._state["request_id"], path=scope["path"])
            if self._status is None:
                bytes_out = await self._respond(internal_error(scope))
            else:
                self._connection.joined.close()  # part of the answer is sent, and must not look complete
        finally:
            self._end(bytes_out)

    def _end(self, bytes_out: int) -> None:
        services, route, connection = self._way.services, self._route, self._connection
        services.metrics.in_flight -= 1
        record_end(
            services.metrics, services.access_log, self._state,
            method="POST", path=route.path_format, route=route.path_format, status=self._status,
            bytes_in=len(self.body), bytes_out=bytes_out, client=connection.client,
        )  # fmt: skip
        if not self.response_complete and not self.disconnected:
            connection.joined.close()  # no answer will come, so a client that still reads must not wait
        if self._task is not None:
            connection.tasks.discard(self._task)
            self._task = None
        # The connection keeps this object until its next request, so what it holds is freed now.
        del self._connection
        self.body, self._headers, self._state = b"", {}, {}

    async def _answer(self) -> int:
        way, state = self._way, self._state
        try:
            accept = text_of(self._headers.get(b"accept"))
            asked = Asked(way.services, self._principal, state, None, accept=accept)
            reply = await self._route.answer(asked, self.body)
            return await self._send(reply.status, _block(reply.headers), reply.body)
        except LakehouseError as error:
            return await self._respond(problem_response(error, self._scope()))
        finally:
            if not state.get("is_audited"):
                await append_audit(way.services, self._scope(), self._status or 0)

    async def _respond(self, response: Response) -> int:
        lengthless = tuple(header for header in response.raw_headers if header[0] != b"content-length")
        return await self._send(response.status_code, _block(lengthless), bytes(response.body))

    async def _send(self, status: int, headers: bytes, body: bytes) -> int:
        """Write an answer, when the client has taken what was before it; gives the bytes of its body."""
        connection = self._connection
        self._status = status
        if connection.flow.write_paused and not self.disconnected:
            await connection.flow.drain()
        if self.disconnected:
            return len(body)
        request_id: str = self._state["request_id"]
        connection.joined.write_now(
            b"%b%b%bcontent-length: %d\r\nx-request-id: %b\r\nx-content-type-options: nosniff\r\n%b\r\n%b"
            % (
                STATUS_LINE[status],
                _block(tuple(connection.default_headers)),
                headers,
                len(body),
                request_id.encode(),
                b"" if self.keep_alive else b"connection: close\r\n",
                body,
            )
        )
        self.response_complete = True
        if not self.keep_alive:
            connection.joined.close()
        connection.on_response_complete()
        return len(body)

    def _scope(self) -> Scope:
        """The request as an ASGI scope, for the functions that log refusals and render problems."""
        path = self._route.path_format
        return {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "root_path": self._way.root_path,
            "query_string": b"",
            "headers": list(self._headers.items()),
            "client": self._connection.client,
            "route": self._route,
            "state": self._state,
        }


class _NobodyWaits:
    """Takes the place of the event that wakes readers of a body: here the body is complete from the start."""

    def set(self) -> None:
        """Wake nobody."""


_NOBODY_WAITS = _NobodyWaits()


@lru_cache(maxsize=256)
def _block(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Headers as bytes; cached, as the same few occur again and again."""
    for name, value in headers:
        if HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
            raise RuntimeError(f"the header {name!r} of an answer cannot be sent")
    return b"".join(b"%b: %b\r\n" % header for header in headers)
