"""A chat request as every provider takes it, and the answer as every provider gives it.

Belongs here: the shapes, and the checks that hold for all providers. Not here: what a family of models refuses (see
families.py), reading a provider's answer (see completion.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from lakehouse.chat.schema_bounds import check_schema
from lakehouse.errors import BadInput

Role = Literal[
    "executor", "reviewer", "extractor", "verifier", "categorizer", "tiebreaker", "applier", "embedder", "other"
]
"""What a model is called for (EvidenceRecord's `model_role`)."""
_SPEAKERS = frozenset({"system", "developer", "user", "assistant", "tool"})
_MAX_MESSAGES = 1000
_MAX_STOPS, _MAX_STOP = 64, 1000


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a caller asks. Values of None are the provider's defaults.

    Attributes:
        model: As the caller names it; see `routing`.
        messages: In OpenAI's form, oldest first.
        max_tokens: Most tokens of the answer.
        think: Whether a thinking model thinks first.
        response_format: OpenAI's: `text`, `json_object` or `json_schema`.
        role: What the model is called for.
        tools: OpenAI's, handed on as they are.
        extras: Sampling settings that are handed on by name (`top_p`, `stop`, `seed` …).
    """

    model: str
    messages: Sequence[Mapping[str, Any]]
    temperature: float | None = None
    max_tokens: int | None = None
    think: bool | None = None
    response_format: Mapping[str, Any] | None = None
    role: str = "executor"
    tools: Sequence[Mapping[str, Any]] | None = None
    tool_choice: Any = None
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call; `is_estimated` when the provider did not count them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    is_estimated: bool = False


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """What a model said; `model` is the provider's name for it."""

    content: str
    finish_reason: str
    usage: Usage
    model: str
    tool_calls: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class ChatPiece:
    """A part of a streamed answer; the last ones carry `finish_reason` and `usage`."""

    content: str = ""
    tool_calls: Sequence[Mapping[str, Any]] = ()
    finish_reason: str | None = None
    usage: Usage | None = None


def check_request(request: ChatRequest) -> None:
    """Refuse what no provider could answer.

    Raises:
        BadInput: A message, a format or a tool is wrong; the message says which.
    """
    if not request.messages:
        raise BadInput("messages is empty; send at least one", param="messages")
    if len(request.messages) > _MAX_MESSAGES:
        raise BadInput(f"{len(request.messages)} messages; at most {_MAX_MESSAGES} are taken", param="messages")
    for index, message in enumerate(request.messages):
        _check_message(index, message)
    _check_format(request.response_format)
    _check_text(request)
    _check_stop(request.extras.get("stop"))
    for index, tool in enumerate(request.tools or ()):
        function = tool.get("function")
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise BadInput(f"tools[{index}] has no function with a name", param=f"tools[{index}]")
        check_schema(function.get("parameters", {}), where=f"tools[{index}].function.parameters")


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message, whichever way its content is given."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, Sequence) else ()
    return "\n".join(part["text"] for part in parts if part.get("type") == "text")


def _check_text(request: ChatRequest) -> None:
    given = {
        "messages": list(request.messages),
        "tools": list(request.tools or ()),
        "tool_choice": request.tool_choice,
        "response_format": request.response_format,
        **request.extras,
    }
    for name, value in given.items():
        try:
            orjson.dumps(value)
        except (TypeError, orjson.JSONEncodeError):
            what = "holds half a surrogate pair, a number past 64 bits, or is nested too deep"
            raise BadInput(f"{name} cannot be sent on: it {what}", param=name) from None


def _check_stop(stop: Any) -> None:
    if stop is None:
        return
    given = [stop] if isinstance(stop, str) else stop
    if (
        not isinstance(given, list)
        or len(given) > _MAX_STOPS
        or not all(isinstance(one, str) and 0 < len(one) <= _MAX_STOP for one in given)
    ):
        raise BadInput(f"stop holds at most {_MAX_STOPS} texts of 1 to {_MAX_STOP} characters", param="stop")


def _check_message(index: int, message: Mapping[str, Any]) -> None:
    where = f"messages[{index}]"
    speaker, content = message.get("role"), message.get("content")
    if not isinstance(speaker, str) or speaker not in _SPEAKERS:
        raise BadInput(f"{where}.role is not one of {', '.join(sorted(_SPEAKERS))}", param=f"{where}.role")
    if content is None and (speaker != "assistant" or not message.get("tool_calls")):
        raise BadInput(f"{where} has no content", param=f"{where}.content")
    if content is not None and not isinstance(content, str):
        _check_parts(where, content)


def _check_parts(where: str, parts: Any) -> None:
    is_list = isinstance(parts, Sequence) and len(parts) > 0
    if not is_list or not all(isinstance(part, Mapping) and isinstance(part.get("type"), str) for part in parts):
        raise BadInput(f"{where}.content is neither text nor a list of parts with a type", param=f"{where}.content")
    if any(part["type"] == "text" and not isinstance(part.get("text"), str) for part in parts):
        raise BadInput(f"{where}.content has a text part without text", param=f"{where}.content")


def _check_format(given: Mapping[str, Any] | None) -> None:
    if given is None:
        return
    kind = given.get("type")
    if kind not in ("text", "json_object", "json_schema"):
        raise BadInput(
            "response_format.type is not one of text, json_object, json_schema", param="response_format.type"
        )
    if "schema" in given:
        check_schema(given["schema"], where="response_format.schema")
    if kind == "json_schema":
        wanted = given.get("json_schema")
        if not isinstance(wanted, Mapping) or not isinstance(wanted.get("schema"), Mapping):
            raise BadInput("response_format.json_schema.schema is missing", param="response_format.json_schema")
        check_schema(wanted["schema"], where="response_format.json_schema.schema")
