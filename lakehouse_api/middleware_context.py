"""The outermost middleware: ids, the access log, the latency metrics, and the last error handler of every request.

Belongs here: what holds for each request, whatever becomes of it. Not here: refusals (see middleware_door.py).
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakehouse.clock import new_id
from lakehouse.errors import Unavailable
from lakehouse_api.access_log import AccessLine, AccessLog
from lakehouse_api.disconnect import CLIENT_CLOSED_REQUEST
from lakehouse_api.errors import internal_error, problem_response
from lakehouse_api.metrics import Metrics
from lakehouse_api.request_headers import has_body, header

STOPPING = Unavailable("the server is stopping, and this took longer than its grace; try again", retry_after_s=5)
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
        self._metrics.in_flight += 1
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            exchange.status = CLIENT_CLOSED_REQUEST
        except asyncio.CancelledError:
            # The server is stopping, and its grace is over.
            if exchange.status is None:
                await problem_response(STOPPING, scope)(scope, exchange.receive, exchange.send)
        except Exception:
            _log.exception("request failed", request_id=exchange.request_id, path=scope["path"])
            if exchange.status is not None:
                raise  # part of the answer is sent, so the server must break the connection and not end it cleanly
            await internal_error(scope)(scope, exchange.receive, exchange.send)
        finally:
            self._metrics.in_flight -= 1
            record_end(
                self._metrics, self._access_log, scope["state"],
                method=scope["method"], path=scope["path"], status=exchange.status, client=scope.get("client"),
                route=getattr(scope.get("route"), "path_format", "unmatched"),
                bytes_in=exchange.bytes_in, bytes_out=exchange.bytes_out,
            )  # fmt: skip


def begun(request_id: str | None, task_id: str | None) -> dict[str, Any]:
    """The state of a request that begins now.

    Args:
        request_id: What the client called it; another one is made when there is none, or it is no sane id.
        task_id: The task that the client says it belongs to; nothing when it is no sane id.
    """
    return {"request_id": _sane(request_id) or new_id(), "task_id": _sane(task_id), "started_s": time.perf_counter()}


def record_end(
    metrics: Metrics,
    access_log: AccessLog,
    state: dict[str, Any],
    *,
    method: str,
    path: str,
    route: str,
    status: int | None,
    bytes_in: int,
    bytes_out: int,
    client: tuple[str, int] | None,
) -> None:
    """Measure and log how a request has ended.

    Args:
        metrics: Takes its time.
        access_log: Takes its line.
        state: The request's, as `begun` made it.
        method: GET, POST and so on.
        path: Without the query: statements and names of people may be in it.
        route: The template of the path.
        status: None when it was not answered.
        bytes_in: Of its body.
        bytes_out: Of the answer's.
        client: Address and port.
    """
    elapsed_s = time.perf_counter() - state["started_s"]
    status = status or CLIENT_CLOSED_REQUEST
    metrics.observe_request(method, route, status, elapsed_s)
    actor = getattr(state.get("principal"), "name", None)
    address = "" if client is None else client[0]
    access_log.add(
        AccessLine(
            state["request_id"], state["task_id"], method, path, route, status, round(elapsed_s * 1000, 2),
            bytes_in, bytes_out, address, actor,
        )
    )  # fmt: skip


class _Exchange:
    """One request and its answer, watched as they pass."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.status: int | None = None
        self.bytes_in = 0
        self.bytes_out = 0
        self._has_more_body = has_body(scope)
        state = scope.setdefault("state", {})
        state |= begun(header(scope, b"x-request-id"), header(scope, b"x-task-id"))
        self.request_id: str = state["request_id"]

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
                # The answer comes before the end of the body, so the connection is closed instead of reading the rest.
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        elif message["type"] == "http.response.body":
            self.bytes_out += len(message.get("body", b""))
        await self._send(message)


def _sane(text: str | None) -> str | None:
    return text if text is not None and _SANE_ID.fullmatch(text) else None
