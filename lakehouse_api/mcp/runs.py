"""How tools run: each by the coroutine of its HTTP route, so that logs, raw streams, metrics and limits are the same.

Belongs here: the ways from a call to a route. Not here: the tools' names and texts (see tool_table.py), the routes.
"""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from lakehouse.counted import counted
from lakehouse.errors import NotFound
from lakehouse_api.hot_routes import HOT
from lakehouse_api.mcp.tool import Run, ToolCall, ToolResult, object_of
from lakehouse_api.routes.answers import answer_task
from lakehouse_api.routes.chat import chat
from lakehouse_api.routes.pathway import get_pathway_history
from lakehouse_api.routes.sql import run_sql_shortcut
from lakehouse_api.schemas.answers import AnswerCall
from lakehouse_api.schemas.chat import ChatCall
from lakehouse_api.schemas.mcp import MAX_ROWS, PathwayHistoryAsked, SqlToolQuery


def by_hot_route(path: str) -> Run:
    """A run that is the hot route of a path."""
    route = HOT.declared(path)

    async def run(call: ToolCall) -> ToolResult:
        return ToolResult((await route.answer(call.asked(), await call.raw())).body)

    return run


def naming_corpora(run: Run) -> Run:
    """A run whose 404 lists the corpora, as a client that has only tools could not look them up."""

    async def run_and_name(call: ToolCall) -> ToolResult:
        try:
            return await run(call)
        except NotFound as error:
            if "corpus" not in error.fields:
                raise
            wrong, known = error.fields["corpus"], await call.services.retrieval.corpora.names()
            there_are = f"there are {', '.join(known)}" if known else "and no other yet"
            raise NotFound(f"there is no corpus {wrong!r}; {there_are}", **error.fields, corpora=known) from None

    return run_and_name


async def run_sql(call: ToolCall) -> ToolResult:
    """As `POST /v1/sql` answers JSON, with a limit that suits a language model."""
    query = call.read(SqlToolQuery)
    rows = min(query.max_rows, call.services.settings.sql_json_max_rows)
    body = await run_sql_shortcut(call.asked(query.model_copy(update={"max_rows": rows})))
    if not object_of(body)["truncated"]:
        return ToolResult(body)
    more = f"raise max_rows (at most {MAX_ROWS}), or aggregate, filter or page with ORDER BY, LIMIT and OFFSET"
    return ToolResult(body, note=f"Cut after {counted(rows, 'row')}; there are more. To see them, {more}.")


async def run_validate(call: ToolCall) -> ToolResult:
    """As `POST /v1/validate`; a refused artifact is a verdict, and no error of the tool."""
    reply = await HOT.declared("/v1/validate").answer(call.asked(), await call.raw())
    document = object_of(reply.body)
    if reply.status == 422:
        verdict: dict[str, Any] = {"passed": False, "error": document, "findings": []}
    else:
        verdict = {"passed": True, "error": None, **document}
    return ToolResult(orjson.dumps(verdict))


async def run_chat(call: ToolCall) -> ToolResult:
    """As `POST /v1/chat`."""
    return _of(await chat(call.request, call.services, call.principal, call.read(ChatCall)))


async def run_answer(call: ToolCall) -> ToolResult:
    """As `POST /v1/answer`."""
    asked = call.read(AnswerCall)
    return _of(await answer_task(call.request, call.services, call.principal, call.principal, asked))


async def run_pathway_history(call: ToolCall) -> ToolResult:
    """As `GET /v1/pathway/{uid}/history`."""
    asked = call.read(PathwayHistoryAsked)
    answer = await get_pathway_history(call.services, call.principal, asked.uid, asked.min_revision)
    return ToolResult(bytes(answer.body))


def _of(answer: Response | BaseModel) -> ToolResult:
    if isinstance(answer, Response):  # the route answers so when the client has gone
        raise ClientDisconnect
    return ToolResult(answer.model_dump_json(by_alias=True).encode())
