"""`/v1/answer`: retrieve, bundle, chat and validate in one call (CONTRACTS.md section 7).

Belongs here: the route. Not here: the loop (see lakehouse/answer/service.py).
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from lakehouse_api.dependencies import ReadDep, ServicesDep, WriteDep
from lakehouse_api.disconnect import CLIENT_CLOSED_REQUEST, while_connected
from lakehouse_api.errors import problems
from lakehouse_api.routes.chat import caller_of
from lakehouse_api.schemas.answers import AnswerCall, AnswerReply

router = APIRouter(prefix="/v1/answer", tags=["answer"])


@router.post("", response_model=AnswerReply, responses=problems(404, 502, 504, 507))
async def answer_task(
    request: Request, services: ServicesDep, principal: WriteDep, _: ReadDep, asked: AnswerCall
) -> Response | AnswerReply:
    """Answer a task from what is found; what is not grounded, or not valid, does not leave. Scopes: read and write."""
    services.require_writable()
    if asked.use_pathway:
        principal.require("pii")
    try:
        work = services.answers.service.answer(asked.request(), caller_of(request, principal))
        return AnswerReply.of(await while_connected(request, work))
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
