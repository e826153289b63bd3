"""`/v1/sql`: one statement that reads, over the catalog's datasets (CONTRACTS.md section 5).

Belongs here: the route and its streams. Not here: what may be asked (see lakehouse/query), who runs it (see
lakehouse/adapters/sql_pool.py).
"""

from __future__ import annotations

import hashlib
from contextlib import AsyncExitStack
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from lakehouse.catalog.manifest import Manifest
from lakehouse.errors import BadInput, LakehouseError
from lakehouse.query.request import SqlRequest
from lakehouse.query.resolve import Past
from lakehouse_api.auth import Principal
from lakehouse_api.dependencies import ReadDep, ServicesDep, audit, fresh_snapshot, run_blocking
from lakehouse_api.disconnect import while_connected
from lakehouse_api.errors import problems
from lakehouse_api.schemas.sql import SqlAnswer, SqlQuery
from lakehouse_api.services import Services

router = APIRouter(prefix="/v1/sql", tags=["sql"])
_MEDIA_TYPES = {"arrow": "application/vnd.apache.arrow.stream", "csv": "text/csv; charset=utf-8"}
_STREAMED: dict[str, Any] = {
    "description": "The answer, in the form that was asked for.",
    "content": {
        "application/vnd.apache.arrow.stream": {"schema": {"type": "string", "format": "binary"}},
        "text/csv": {"schema": {"type": "string"}},
    },
}
_CLIENT_GONE = 499  # nginx's number for it; nobody reads this answer


@router.post("", response_model=SqlAnswer, responses=problems(404, 410, 504, 507) | {200: _STREAMED})
async def run_sql(request: Request, services: ServicesDep, principal: ReadDep, query: SqlQuery) -> Response:
    """Answer one statement; personal columns are masked unless the token has the scope `pii`."""
    asked = SqlRequest(query.sql, query.format, query.max_rows, query.as_of)
    _check_rows(asked, services)
    try:
        if asked.format == "json":
            response, rows = await while_connected(request, _whole(services, principal, asked))
        else:
            response, rows = await while_connected(request, _stream(services, principal, asked)), None
    except ClientDisconnect:
        await _audit(services, principal, request, asked, "cancelled")
        return Response(status_code=_CLIENT_GONE)
    except LakehouseError as error:
        await _audit(services, principal, request, asked, "failed" if error.status >= 500 else "refused")
        raise
    await _audit(services, principal, request, asked, "ok", rows=rows)
    return response


def _check_rows(asked: SqlRequest, services: Services) -> None:
    most = services.settings.sql_json_max_rows
    if asked.format == "json" and asked.max_rows is not None and asked.max_rows > most:
        raise BadInput(
            f"max_rows is {asked.max_rows}, but a JSON answer has at most {most} rows;"
            ' "format": "arrow" and "csv" stream any number'
        )


async def _whole(services: Services, principal: Principal, asked: SqlRequest) -> tuple[Response, int]:
    answer = await services.sql.run(asked, **await _context(services, principal, asked))
    body = b'{"columns":%b,"rows":%b,"row_count":%d,"truncated":%b}' % (
        orjson.dumps(answer.columns),
        answer.body,
        answer.row_count,
        b"true" if answer.truncated else b"false",
    )
    return Response(body, media_type="application/json"), answer.row_count


async def _stream(services: Services, principal: Principal, asked: SqlRequest) -> Response:
    async with AsyncExitStack() as opening:
        context = await _context(services, principal, asked)
        chunks = await opening.enter_async_context(services.sql.stream(asked, **context))
        return _Stream(chunks, opening.pop_all(), media_type=_MEDIA_TYPES[asked.format])


async def _context(services: Services, principal: Principal, asked: SqlRequest) -> dict[str, Any]:
    async def read_as_of(name: str) -> Manifest:
        return await run_blocking(services, services.catalog.get, name, as_of=asked.as_of)

    async def read_versions(name: str) -> list[Manifest]:
        return await run_blocking(services, services.catalog.versions, name)

    return {
        "snapshot": await fresh_snapshot(services),
        "has_pii": principal.has_pii,
        "past": None if asked.as_of is None else Past(read_as_of, read_versions),
    }


async def _audit(
    services: Services, principal: Principal, request: Request, asked: SqlRequest, status: str, **fields: Any
) -> None:
    # The text may hold personal values or somebody's keys: its fingerprint tells two queries apart without them.
    fingerprint = hashlib.sha256(asked.sql.encode("utf-8", "replace")).hexdigest()
    await audit(
        services, principal, request,
        action="sql", subject=f"sha256:{fingerprint}", status=status, is_durable=False, format=asked.format, **fields,
    )  # fmt: skip


class _Stream(StreamingResponse):
    """A stream that gives its worker back, however it ends."""

    def __init__(self, chunks: Any, opened: AsyncExitStack, *, media_type: str) -> None:
        super().__init__(chunks, media_type=media_type)
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._opened:
            await super().__call__(scope, receive, send)
