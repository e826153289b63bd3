"""`/v1/sql`: one statement that reads, over the catalog's datasets (CONTRACTS.md section 5).

Belongs here: the route and its streams. Not here: what may be asked (see lakehouse/query), who runs it (see
lakehouse/adapters/sql_pool.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from lakehouse.catalog.manifest import Manifest
from lakehouse.errors import BadInput, LakehouseError, StoreUnavailable, TimedOut
from lakehouse.query.request import Answer, SqlRequest
from lakehouse.query.resolve import Past
from lakehouse_api.auth import Principal
from lakehouse_api.dependencies import ReadDep, ServicesDep, audit_request, fresh_snapshot, run_blocking
from lakehouse_api.disconnect import CLIENT_CLOSED_REQUEST, Connection, while_connected
from lakehouse_api.errors import problems
from lakehouse_api.health import is_store_silent
from lakehouse_api.hot_routes import HOT, Asked
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


@dataclass(frozen=True, slots=True)
class AskedSql:
    """A query, who asks it, and the state of the request: its ids and its start."""

    request: SqlRequest
    services: Services
    principal: Principal
    state: dict[str, Any]

    def __post_init__(self) -> None:
        most, asked = self.services.settings.sql_json_max_rows, self.request
        if asked.format == "json" and asked.max_rows is not None and asked.max_rows > most:
            raise BadInput(
                f"max_rows is {asked.max_rows}, but a JSON answer has at most {most} rows;"
                ' "format": "arrow" and "csv" stream any number'
            )

    async def context(self) -> dict[str, Any]:
        """What the pool is told besides the request: the catalog, the scope `pii`, and how to read the past."""
        moment = self.request.as_of

        async def read_as_of(name: str) -> Manifest:
            return await run_blocking(self.services, self.services.catalog.get, name, as_of=moment)

        async def read_versions(name: str) -> list[Manifest]:
            return await run_blocking(self.services, self.services.catalog.versions, name)

        return {
            "snapshot": await fresh_snapshot(self.services),
            "has_pii": self.principal.has_pii,
            "past": None if moment is None else Past(moment, read_as_of, read_versions),
        }

    async def audit(self, status: str, **fields: Any) -> None:
        """Write the line of the query to the stream `audits`."""
        # The text may hold personal values or secrets, so only its fingerprint is logged, which still tells queries
        # apart.
        fingerprint = hashlib.sha256(self.request.sql.encode("utf-8", "replace")).hexdigest()
        await audit_request(
            self.services, self.principal, self.state,
            action="sql", subject=f"sha256:{fingerprint}", status=status, is_durable=False,
            format=self.request.format, **fields,
        )  # fmt: skip


@router.post("", response_model=SqlAnswer, responses=problems(404, 410, 504, 507) | {200: _STREAMED})
async def run_sql(request: Request, services: ServicesDep, principal: ReadDep, query: SqlQuery) -> Response:
    """Answer one statement; personal columns are masked unless the token has the scope `pii`."""
    asked = AskedSql(_request_of(query), services, principal, request.scope["state"])
    try:
        if query.format == "json":
            return Response(await answer_json(request, asked), media_type="application/json")
        async with audited(asked):
            return await while_connected(request, stream_answer(asked))
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED_REQUEST)


async def run_sql_shortcut(asked: Asked) -> bytes:
    """The same for a valid request that asks for JSON, without the framework."""
    return await answer_json(asked, AskedSql(_request_of(asked.body), asked.services, asked.principal, asked.state))


def _fit(scope: Scope, body: bytes) -> SqlQuery | None:
    if (b"content-type", b"application/json") not in scope["headers"]:
        return None
    try:
        query = SqlQuery.model_validate_json(body)
    except ValidationError:
        return None
    return query if query.format == "json" else None


HOT.add_shortcut("/v1/sql", run_sql_shortcut, fit=_fit, scope="read", name="run_sql")


def _request_of(query: SqlQuery) -> SqlRequest:
    return SqlRequest(query.sql, query.format, query.max_rows, query.as_of)


@asynccontextmanager
async def audited(asked: AskedSql) -> AsyncIterator[dict[str, Any]]:
    """Write down how it ends; what is put into the given fields stands in the line."""
    fields: dict[str, Any] = {}
    try:
        yield fields
    except ClientDisconnect:
        await asked.audit("cancelled")
        raise
    except TimedOut as error:
        await asked.audit("failed")
        if is_store_silent(asked.services):  # no narrower query would have done better
            silent = "the object store does not answer, so the query was stopped at its time limit; try again"
            raise StoreUnavailable(silent, retry_after_s=5) from error
        raise
    except LakehouseError as error:
        await asked.audit("failed" if error.status >= 500 else "refused")
        raise
    await asked.audit("ok", **fields)


async def answer_json(connection: Connection, asked: AskedSql) -> bytes:
    """The answer as the JSON document of the route."""
    async with audited(asked) as fields:
        answer = await while_connected(connection, _run(asked))
        fields["rows"] = answer.row_count
    return b'{"columns":%b,"rows":%b,"row_count":%d,"truncated":%b}' % (
        orjson.dumps(answer.columns),
        answer.body,
        answer.row_count,
        b"true" if answer.truncated else b"false",
    )


async def _run(asked: AskedSql) -> Answer:
    return await asked.services.sql.run(asked.request, **await asked.context())


async def stream_answer(asked: AskedSql) -> Response:
    """The answer as a stream of Arrow or CSV."""
    async with AsyncExitStack() as opening:
        context = await asked.context()
        chunks = await opening.enter_async_context(asked.services.sql.stream(asked.request, **context))
        return _Stream(chunks, opening.pop_all(), media_type=_MEDIA_TYPES[asked.request.format])


class _Stream(StreamingResponse):
    """A stream that gives its worker back, however it ends."""

    def __init__(self, chunks: Any, opened: AsyncExitStack, *, media_type: str) -> None:
        super().__init__(chunks, media_type=media_type)
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._opened:
            await super().__call__(scope, receive, send)
