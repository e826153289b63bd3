"""What routes are given: the services, the principal, threads for blocking work, the audit line.

Belongs here: FastAPI dependencies. Not here: the rules behind them (see auth.py, services.py).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

import anyio.to_thread
import structlog
from fastapi import Depends, Request

from lakehouse.catalog.snapshot import CatalogSnapshot
from lakehouse.errors import LakehouseError
from lakehouse_api.auth import Principal
from lakehouse_api.catalog_view import fresh_catalog
from lakehouse_api.services import Services

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Scope = Literal["read", "write", "admin", "pii"]

_log = structlog.get_logger("lakehouse.audit")


def get_services(request: Request) -> Services:
    """The services that the lifespan opened."""
    services: Services = request.app.state.services
    return services


def require(scope: Scope) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency that gives the principal when it has the scope, and else refuses with 403."""

    # A coroutine, because FastAPI runs a plain function in its thread pool, which costs every request a switch.
    async def principal_with_scope(request: Request) -> Principal:
        principal: Principal = request.state.principal
        principal.require(scope)
        return principal

    return principal_with_scope


async def _services(request: Request) -> Services:
    return get_services(request)


ServicesDep = Annotated[Services, Depends(_services)]
ReadDep = Annotated[Principal, Depends(require("read"))]
WriteDep = Annotated[Principal, Depends(require("write"))]
AdminDep = Annotated[Principal, Depends(require("admin"))]


async def run_blocking(
    services: Services,
    function: Callable[Parameters, Result],
    /,
    *args: Parameters.args,
    **kwargs: Parameters.kwargs,
) -> Result:
    """Run blocking work in the bounded pool of threads for store calls.

    A client that goes away does not stop the thread: what has been begun in the store is finished.
    """
    return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=services.threads)


async def fresh_snapshot(services: Services) -> CatalogSnapshot:
    """See `fresh_catalog`."""
    return await fresh_catalog(services.watcher)


async def audit(
    services: Services,
    principal: Principal,
    request: Request,
    *,
    action: str,
    subject: str,
    status: str,
    is_durable: bool = True,
    **fields: Any,
) -> None:
    """Write one line to the stream `audits` and count the action.

    Args:
        services: The open services.
        principal: Who did it.
        request: The request, for its ids and its start.
        action: What was done, such as `storage.put`, `catalog.delete`, `ingest`, `sql`.
        subject: The key or dataset it was done to.
        status: `ok`, `refused`, `failed` or `cancelled`.
        is_durable: False for reads: they do not wait for the disk.
        fields: `rows`, `bytes` and whatever else says more; never a token or a row's content.

    A full spool does not fail an action that has already happened: the line is counted as lost and logged.
    """
    await audit_request(
        services, principal, request.scope["state"],
        action=action, subject=subject, status=status, is_durable=is_durable, **fields,
    )  # fmt: skip


async def audit_request(
    services: Services,
    principal: Principal,
    state: dict[str, Any],
    *,
    action: str,
    subject: str,
    status: str,
    is_durable: bool = True,
    **fields: Any,
) -> None:
    """Write the same line from a request's state, for hot routes, which have no `Request`."""
    state["is_audited"] = True
    line = {
        "action": action,
        "subject": subject,
        "status": status,
        "elapsed_ms": round((time.perf_counter() - state["started_s"]) * 1000, 3),
        "client": principal.address,
        "scopes": sorted(principal.scopes),
        "actor": principal.name,
        "trace_id": state["request_id"],
        "task_id": state["task_id"],
        **fields,
    }
    services.metrics.count_action(action, status, rows=fields.get("rows") or 0, size_bytes=fields.get("bytes") or 0)
    try:
        await services.events.append("audits", line, durable=is_durable)
    except LakehouseError as error:
        services.metrics.lost_audits.inc()
        _log.warning("audit line lost", reason=error.detail, **line)
