"""The outermost middleware: ids, the access log, the latency metrics, and the net under every request.

Belongs here: what holds for each request, whatever becomes of it. Not here: refusals (see middleware_door.py).
"""

from __future__ import annotations

import asyncio
import re
import time

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakehouse.clock import new_id
from lakehouse.errors import Unavailable
from lakehouse_api.access_log import AccessLog
from lakehouse_api.errors import internal_error, problem_response
from lakehouse_api.metrics import Metrics
from lakehouse_api.request_headers import has_body, header

CLIENT_CLOSED = 499
_STOPPING = Unavailable("the server is stopping, and this took longer than its grace; try again", retry_after_s=5)
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_log = structlog.get_logger("lakehouse.requests")


class ContextMiddleware:
    """Gives each request its ids, then logs and measures how it ended.

    `X-Request-Id` is taken when it is sane and made otherwise, and returned; `X-Task-Id` ties a run to a task.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, access_log: AccessLog) -> None:
        self._app = app
        self._metrics = metrics
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        self._metrics.in_flight.inc()
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            exchange.status = CLIENT_CLOSED
        except asyncio.CancelledError:
            # The server is stopping, and its grace is over.
            if exchange.status is None:
                await problem_response(_STOPPING, scope)(scope, exchange.receive, exchange.send)
        except Exception:
            _log.exception("request failed", request_id=exchange.request_id, path=scope["path"])
            if exchange.status is not None:
                raise  # half an answer is out: the server must break the connection, not end it cleanly
            await internal_error(scope)(scope, exchange.receive, exchange.send)
        finally:
            self._metrics.in_flight.dec()
            self._record(scope, exchange)

    def _record(self, scope: Scope, exchange: _Exchange) -> None:
        elapsed_s = time.perf_counter() - exchange.started_s
        status = exchange.status or CLIENT_CLOSED
        route = getattr(scope.get("route"), "path_format", "unmatched")
        self._metrics.observe_request(scope["method"], route, status, elapsed_s)
        state = scope["state"]
        self._access_log.add(
            request_id=exchange.request_id,
            task_id=state["task_id"],
            method=scope["method"],
            path=scope["path"],  # without the query: statements and names of people may be in it
            route=route,
            status=status,
            elapsed_ms=round(elapsed_s * 1000, 2),
            bytes_in=exchange.bytes_in,
            bytes_out=exchange.bytes_out,
            client=(scope.get("client") or ("",))[0],
            actor=getattr(state.get("principal"), "name", None),
        )


class _Exchange:
    """One request and its answer, watched as they pass."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.started_s = time.perf_counter()
        self.request_id = _sane(header(scope, b"x-request-id")) or new_id()
        self.status: int | None = None
        self.bytes_in = 0
        self.bytes_out = 0
        self._has_more_body = has_body(scope)
        state = scope.setdefault("state", {})
        state |= {
            "request_id": self.request_id,
            "task_id": _sane(header(scope, b"x-task-id")),
            "started_s": self.started_s,
        }

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.bytes_in += len(message.get("body", b""))
            self._has_more_body = message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), (b"x-request-id", self.request_id.encode()), _NO_SNIFFING]
            if self._has_more_body:
                # Refused before its end: reading on would let a client send for ever what nobody wants.
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        elif message["type"] == "http.response.body":
            self.bytes_out += len(message.get("body", b""))
        await self._send(message)


def _sane(text: str | None) -> str | None:
    return text if text is not None and _SANE_ID.fullmatch(text) else None
