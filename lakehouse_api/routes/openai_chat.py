"""OpenAI's chat routes: `/v1/chat/completions`, streamed or not, and `/v1/models`.

Source: https://platform.openai.com/docs/api-reference/chat. Errors have OpenAI's shape (see openai_errors.py).

Belongs here: the routes and how answers are written. Not here: the calls (see lakehouse/chat).
"""

from __future__ import annotations

import time
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from lakehouse.chat.request import ChatAnswer, Usage
from lakehouse.chat.routing import EMBEDDED
from lakehouse.chat.streaming import open_stream
from lakehouse.errors import NotFound
from lakehouse_api.chat_stream import CompletionStream
from lakehouse_api.dependencies import ReadDep, ServicesDep, WriteDep
from lakehouse_api.disconnect import CLIENT_CLOSED_REQUEST, while_connected
from lakehouse_api.errors import problems
from lakehouse_api.routes.chat import caller_of, trace_of
from lakehouse_api.schemas.chat import Completion, CompletionRequest
from lakehouse_api.schemas.chat_reports import ModelCard, ModelList
from lakehouse_api.services import Services

router = APIRouter(prefix="/v1", tags=["openai"])
_STREAMED: dict[str, Any] = {
    "description": "The completion, or with `stream: true` its chunks as server-sent events that end in `[DONE]`.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}


@router.post("/chat/completions", response_model=Completion, responses=problems(404, 502, 504, 507) | {200: _STREAMED})
async def create_chat_completion(
    request: Request, services: ServicesDep, principal: WriteDep, asked: CompletionRequest
) -> Response:
    """Ask a model in OpenAI's form."""
    caller = caller_of(request, principal)
    service = services.chat.service
    created = int(time.time())
    try:
        if asked.stream:
            stream = await while_connected(request, open_stream(service, asked.request(), caller))
            headers = {"X-Trace-Id": trace_of(services, stream.attempt.run_id)}
            return CompletionStream(stream, created, is_usage_wanted=asked.is_usage_wanted, headers=headers)
        result = await while_connected(request, service.chat(asked.request(), caller))
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    completion = {
        "id": f"chatcmpl-{result.run_id}",
        "object": "chat.completion",
        "created": created,
        "model": str(result.route),
        "choices": [_choice(result.answer)],
        "usage": usage_of(result.answer.usage),
    }
    headers = {"X-Trace-Id": trace_of(services, result.run_id)}
    return Response(orjson.dumps(completion), media_type="application/json", headers=headers)


@router.get("/models")
async def list_models(services: ServicesDep, _: ReadDep) -> ModelList:
    """List the embedded model, and those of every provider that is set up and answers."""
    return ModelList(data=await _models(services))


@router.get("/models/{model:path}", responses=problems(404))
async def read_model(services: ServicesDep, _: ReadDep, model: str) -> ModelCard:
    """Say whose model this is."""
    for card in await _models(services):
        if model in (card.id, f"{card.owned_by}/{card.id}"):
            return card
    raise NotFound(f"there is no model {model[:100]!r}; /v1/models lists those there are", code="model_not_found")


async def _models(services: Services) -> list[ModelCard]:
    return [
        ModelCard(id=name if one.name == EMBEDDED else f"{one.name}/{name}", owned_by=one.name)
        for one in await services.chat.reach.all()
        for name in one.models
    ]


def usage_of(usage: Usage) -> dict[str, int]:
    """Tokens in OpenAI's form."""
    total = usage.prompt_tokens + usage.completion_tokens
    return {
        "prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens, "total_tokens": total,
    }  # fmt: skip


def _choice(answer: ChatAnswer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.content or None, "refusal": None}
    if answer.tool_calls:
        message["tool_calls"] = list(answer.tool_calls)
    return {"index": 0, "message": message, "finish_reason": answer.finish_reason, "logprobs": None}
