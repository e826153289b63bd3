"""`/v1/chat`: one chat with whatever model its name says, the providers, and what was spent (CONTRACTS.md section 7).

Belongs here: the routes. Not here: OpenAI's form (see openai_chat.py), routing and metering (see lakehouse/chat).
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from lakehouse.chat.call_log import Caller
from lakehouse.retrieval.trace import Trace
from lakehouse_api.auth import Principal
from lakehouse_api.dependencies import ReadDep, ServicesDep, WriteDep
from lakehouse_api.disconnect import CLIENT_CLOSED_REQUEST, while_connected
from lakehouse_api.errors import problems
from lakehouse_api.schemas.chat import ChatCall, ChatReply, ChatUsage
from lakehouse_api.schemas.chat_reports import ProviderState, ProviderStates, UsageReport
from lakehouse_api.services import Services

router = APIRouter(prefix="/v1/chat", tags=["chat"])


@router.post("", response_model=ChatReply, response_model_exclude_none=False, responses=problems(404, 502, 504, 507))
async def chat(request: Request, services: ServicesDep, principal: WriteDep, asked: ChatCall) -> Response | ChatReply:
    """Ask a model; `provider/name` goes to that provider, a bare name to the embedded model or to Ollama."""
    caller = caller_of(request, principal)
    try:
        work = services.chat.service.chat(asked.request(services.chat.default_model), caller)
        result = await while_connected(request, work)
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    answer = result.answer
    return ChatReply(
        model=result.route.model,
        provider=result.route.provider,
        content=answer.content,
        finish_reason=answer.finish_reason,
        usage=ChatUsage(prompt_tokens=answer.usage.prompt_tokens, completion_tokens=answer.usage.completion_tokens),
        latency_ms=round(result.latency_ms, 3),
        cost_usd=result.cost_usd,
        trace_id=trace_of(services, result.run_id),
        tool_calls=[dict(call) for call in answer.tool_calls] or None,
        escalated_from=result.escalated_from,
    )


@router.get("/providers")
async def list_chat_providers(services: ServicesDep, _: ReadDep) -> ProviderStates:
    """Say which providers are set up and can be reached, and why the others cannot; asked at most every ten seconds."""
    errors = services.chat.service.last_errors
    states = [
        ProviderState(
            name=one.name,
            configured=one.is_configured,
            reachable=one.is_reachable,
            models=len(one.models),
            last_error=one.error or errors.get(one.name),
        )
        for one in await services.chat.reach.all()
    ]
    return ProviderStates(default_model=services.chat.default_model, providers=states)


@router.get("/usage")
async def read_chat_usage(services: ServicesDep, _: ReadDep) -> UsageReport:
    """Say what chat has used by role, provider and model, and the share that went to frontier models."""
    budget = services.settings.chat_escalation_budget_usd
    return UsageReport(escalation_budget_usd=budget, **services.chat.service.meter.report())


def caller_of(request: Request, principal: Principal) -> Caller:
    """Who calls, for the log."""
    state = request.scope["state"]
    state["is_audited"] = True
    return Caller(principal.name, state["task_id"], state["request_id"])


def trace_of(services: Services, run_id: str) -> str:
    """The trace id of a call that was shown nothing."""
    return services.retrieval.signer.sign(Trace(run_id, "off", services.live_configs.search.version_name, ()))
