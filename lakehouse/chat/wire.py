"""The body that is sent to a provider, in the form of OpenAI's chat completions.

Source: https://platform.openai.com/docs/api-reference/chat/create; Ollama's `reasoning_effort: none` is what turns
thinking off on its OpenAI-compatible route (github.com/ollama/ollama/issues/14820), `think` on its own.

Belongs here: what goes into the body. Not here: sending it (see lakehouse/adapters/openai_chat.py).
"""

from __future__ import annotations

from typing import Any

from lakehouse.chat.families import ChatFamily
from lakehouse.chat.request import ChatRequest
from lakehouse.chat.routing import OLLAMA, OLLAMA_CLOUD

HANDED_ON = (
    "top_p", "stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "parallel_tool_calls",
    "reasoning_effort", "user",
)  # fmt: skip
"""Members of OpenAI's request that are handed on by name when the caller sets them."""


def body_of(request: ChatRequest, *, provider: str, model: str, family: ChatFamily) -> dict[str, Any]:
    """The body for a provider, without what the model's family refuses.

    Args:
        request: What the caller asks.
        provider: Who gets it.
        model: The model's name there.
        family: The model's.
    """
    body: dict[str, Any] = {name: request.extras[name] for name in HANDED_ON if request.extras.get(name) is not None}
    wanted = {
        "temperature": request.temperature,
        "max_tokens": _fitting(request.max_tokens, family.max_output_tokens),
        "response_format": request.response_format,
        "tools": list(request.tools) if request.tools else None,
        "tool_choice": request.tool_choice if request.tools else None,
    }
    body |= {name: value for name, value in wanted.items() if value is not None}
    body |= _thinking(request.think, provider)
    kept = {family.renames.get(name, name): value for name, value in body.items() if name not in family.refuses}
    return {"model": model, "messages": list(request.messages), **kept}


def _fitting(wanted: int | None, most: int | None) -> int | None:
    return min(wanted, most) if wanted is not None and most is not None else wanted


def _thinking(think: bool | None, provider: str) -> dict[str, Any]:
    """Local Ollama does not think unless it is asked to; other providers are told what the caller said, if anything."""
    if provider == OLLAMA:
        return {"think": True} if think else {"think": False, "reasoning_effort": "none"}
    if think is None:
        return {}
    if provider == OLLAMA_CLOUD:
        return {"think": think} if think else {"think": False, "reasoning_effort": "none"}
    if provider == "openrouter":
        return {"reasoning": {"enabled": think}}
    if provider == "kimi":
        return {"thinking": {"type": "enabled" if think else "disabled"}}
    return {}
