"""The line of a chat call in the raw stream `chat_calls` (CONTRACTS.md section 8).

Belongs here: what the line holds, and how much of long texts. Not here: writing it (see
lakehouse/adapters/event_log.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from lakehouse.chat.request import ChatAnswer, ChatRequest, text_of
from lakehouse.chat.routing import Route
from lakehouse.errors import LakehouseError

_MESSAGE_BYTES = 256 << 10
_ANSWER_BYTES = 128 << 10
_SETTINGS = ("temperature", "max_tokens", "think", "response_format", "tools", "tool_choice")
FindMarkers = Callable[[str], Sequence[str]]
"""Finds prompt injections and personal data in a text; gives the markers' names."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the token's name, the request's ids, the version of the configuration, what else the line says."""

    actor: str
    task_id: str | None = None
    request_id: str | None = None
    config_version: str | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)


class CallLog(Protocol):
    """Takes lines of `chat_calls`."""

    def require_room(self) -> None:
        """Refuse a call whose line could not be kept, before it happens."""

    async def write(self, line: Mapping[str, Any], *, is_durable: bool) -> None:
        """Write one line; never raises, since the call has happened."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended, for its line.

    Attributes:
        status: `ok`, `failed` or `cancelled`.
        attempts: Routes that were tried, in order, with what became of each.
    """

    run_id: str
    route: Route
    status: str
    latency_ms: float
    answer: ChatAnswer | None = None
    error: LakehouseError | None = None
    cost_usd: float | None = None
    is_stream: bool = False
    is_frontier: bool = False
    escalated_from: str | None = None
    attempts: Sequence[Mapping[str, Any]] = ()


def call_line(request: ChatRequest, ended: Ended, caller: Caller, *, find_markers: FindMarkers) -> dict[str, Any]:
    """The line of one call.

    Args:
        request: What was asked.
        ended: What became of it.
        caller: Who asked.
        find_markers: What it is searched for.
    """
    messages, is_clipped = _clipped(request.messages)
    answer, error = ended.answer, ended.error
    return {
        "run_id": ended.run_id,
        "task_id": caller.task_id,
        "trace_id": caller.request_id,
        "actor": caller.actor,
        "config_version": caller.config_version,
        "role": request.role,
        "model": request.model,
        "provider": ended.route.provider,
        "provider_model": ended.route.model,
        "status": ended.status,
        "messages": messages,
        "is_clipped": is_clipped,
        "input_sha256": hashlib.sha256(orjson.dumps(list(request.messages))).hexdigest(),
        "settings": {name: getattr(request, name) for name in _SETTINGS if getattr(request, name) is not None}
        | dict(request.extras),
        "content": None if answer is None else _cut(answer.content, _ANSWER_BYTES),
        "tool_calls": None if answer is None else list(answer.tool_calls),
        "finish_reason": None if answer is None else answer.finish_reason,
        "prompt_tokens": None if answer is None else answer.usage.prompt_tokens,
        "completion_tokens": None if answer is None else answer.usage.completion_tokens,
        "are_tokens_estimated": None if answer is None else answer.usage.is_estimated,
        "cost_usd": ended.cost_usd,
        "latency_ms": round(ended.latency_ms, 3),
        "is_stream": ended.is_stream,
        "is_frontier": ended.is_frontier,
        "escalated_from": ended.escalated_from,
        "attempts": list(ended.attempts),
        "error": None if error is None else {"status": error.status, "detail": error.detail},
        "input_markers": _markers((text_of(m) for m in request.messages if m.get("role") != "system"), find_markers),
        **caller.extras,
        "output_markers": [] if answer is None else _markers([answer.content], find_markers),
    }


def without_texts(line: Mapping[str, Any]) -> dict[str, Any]:
    """The same line without what people and models wrote, for when it is too large to be kept."""
    bare = {name: value for name, value in line.items() if name != "asked"}
    return {**bare, "messages": [], "content": None, "tool_calls": None, "settings": {}, "is_clipped": True}


def _markers(texts: Any, find_markers: FindMarkers) -> list[str]:
    return sorted({marker for text in texts for marker in find_markers(text[:_MESSAGE_BYTES])})


def _clipped(messages: Sequence[Mapping[str, Any]]) -> tuple[list[Any], bool]:
    """The messages as they are, or their texts cut so that the newest ones stay."""
    if len(orjson.dumps(list(messages))) <= _MESSAGE_BYTES:
        return list(messages), False
    kept: list[dict[str, Any]] = []
    left = _MESSAGE_BYTES
    for message in reversed(messages):
        text = _cut(text_of(message), left)
        left -= len(text.encode("utf-8", "replace"))
        kept.append({"role": message.get("role"), "content": text})
    return kept[::-1], True


def _cut(text: str, most_bytes: int) -> str:
    return text.encode("utf-8", "replace")[: max(0, most_bytes)].decode("utf-8", "ignore")
