"""The audit line of every request that did not write its own: reads, refusals, unknown routes.

Belongs here: who asked for what and how it ended. Not here: lines of actions that change something (see
dependencies.py), the access log (see middleware_context.py).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakehouse.errors import LakehouseError
from lakehouse_api.ui.paths import is_static

if TYPE_CHECKING:
    from lakehouse_api.services import Services

PREFIXES = ("/v1/", "/mcp", "/ui")
_log = structlog.get_logger("lakehouse.audit")


class AuditMiddleware:
    """Appends audit lines without waiting for the disk, so that reads are not slowed down."""

    def __init__(self, app: ASGIApp, *, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_audited(scope):
            await self._app(scope, receive, send)
            return
        status = 0

        async def watching(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watching)
        finally:
            state = scope["state"]
            if not state.get("is_audited"):
                # A refused MCP tool call answers 200, and has its status inside.
                await append_audit(self._services, scope, state.get("tool_status", status))


async def append_audit(services: Services, scope: Scope, status: int) -> None:
    """Append the line of a request that wrote none of its own; one that the log does not take is counted."""
    state = scope["state"]
    principal = state.get("principal")
    line = {
        "action": getattr(scope.get("route"), "name", "unmatched"),
        "subject": scope["path"],  # without the query, which may hold names of people
        "method": scope["method"],
        "status": _outcome(status),
        "http_status": status,
        "elapsed_ms": round((time.perf_counter() - state["started_s"]) * 1000, 3),
        "client": (scope.get("client") or ("",))[0],
        "actor": getattr(principal, "name", None),
        "trace_id": state["request_id"],
        "task_id": state["task_id"],
    }
    try:
        await services.events.append("audits", line, durable=False)
    except LakehouseError as error:
        services.metrics.lost_audits.inc()
        _log.warning("audit line lost", reason=error.detail, trace_id=state["request_id"])


def _is_audited(scope: Scope) -> bool:
    """Whether a request is audited: all of the API and the pages, but not static files."""
    return scope["path"].removeprefix(scope.get("root_path", "")).startswith(PREFIXES) and not is_static(scope)


def _outcome(status: int) -> str:
    if status == 0:
        return "cancelled"
    if status < 400:
        return "ok"
    return "failed" if status >= 500 else "refused"
