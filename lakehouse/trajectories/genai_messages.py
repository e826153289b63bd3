"""Messages of the GenAI semantic conventions as OpenAI's chat messages: the form in parts, and the older one in events.

- Text parts are `content` (a text where there is one, else a list of parts), tool calls are `tool_calls` with their
  arguments as JSON text, each tool's answer is a message of its own, reasoning is `reasoning_content`. Parts that are
  none of these stay in `content` as they are.
- Events: `gen_ai.system.message`, `gen_ai.user.message`, `gen_ai.assistant.message`, `gen_ai.tool.message` and
  `gen_ai.choice`, with their fields as attributes, in the attribute `gen_ai.event.content` as JSON, or in a body;
  `gen_ai.content.prompt` and `gen_ai.content.completion` of the first conventions as well.

Belongs here: turning messages. Not here: spans (see otlp_genai.py).

Source: OpenTelemetry semantic conventions, `gen-ai-input-messages.json`; v1.36.0 and before for events.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from lakehouse.trajectories.otlp_spans import attributes_of, plain
from lakehouse.trajectories.run import Unusable
from lakehouse.trajectories.values import a_list, a_text, an_object

_ROLES = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_CHOICE = "gen_ai.choice"
_DETAILS = "gen_ai.client.inference.operation.details"
_FIRST = {"gen_ai.content.prompt": "gen_ai.prompt", "gen_ai.content.completion": "gen_ai.completion"}


def structured(value: Any) -> Any:
    """A value that may have been recorded as JSON text.

    Raises:
        Unusable: It is a text and no JSON.
    """
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise Unusable(f"messages are not JSON: {error}") from None


def from_parts(value: Any, name: str) -> list[dict[str, Any]]:
    """Chat messages of messages in parts.

    Raises:
        Unusable: They do not have the form.
    """
    made: list[dict[str, Any]] = []
    for place, given in enumerate(a_list(structured(value), name)):
        message = an_object(given, f"{name}[{place}]")
        role = a_text(message.get("role"), f"{name}[{place}].role")
        if "parts" not in message:
            made.append(message)  # chat messages as they are, which some libraries record
            continue
        parts = [an_object(p, "a part") for p in a_list(message["parts"], f"{name}[{place}].parts")]
        made.extend(_messages(role, parts))
    return made


def instructions(value: Any) -> list[dict[str, Any]]:
    """The system message of `gen_ai.system_instructions`, or none."""
    if value is None:
        return []
    given = [an_object(p, "a part") for p in a_list(structured(value), "gen_ai.system_instructions")]
    return list(_messages("system", given))


def tool_definitions(value: Any) -> list[dict[str, Any]] | None:
    """Tools in the form of chat requests of `gen_ai.tool.definitions`."""
    if value is None:
        return None
    made = []
    for given in a_list(structured(value), "gen_ai.tool.definitions"):
        tool = dict(an_object(structured(given), "a tool"))
        if "function" in tool or tool.get("type", "function") != "function":
            made.append(tool)
        else:
            tool.pop("type", None)
            made.append({"type": "function", "function": tool})
    return made


def from_events(events: Any) -> tuple[list[dict[str, Any]], list[list[dict[str, Any]]]]:
    """Input messages, and the messages of each choice, of a span's events; both empty where events tell of none.

    Raises:
        Unusable: An event does not have the form.
    """
    asked: list[dict[str, Any]] = []
    choices: list[list[dict[str, Any]]] = []
    for given in a_list(events or [], "events"):
        event = an_object(given, "an event")
        name, fields = str(event.get("name")), attributes_of(event)
        content = _content(event, fields)
        if name in _ROLES:
            asked.append(_message(_ROLES[name], content))
        elif name == _CHOICE:
            message = structured(content["message"]) if "message" in content else content
            choices.append([_message("assistant", message if isinstance(message, dict) else {"content": message})])
        elif name == _DETAILS:
            asked = instructions(fields.get("gen_ai.system_instructions"))
            asked += from_parts(fields.get("gen_ai.input.messages") or [], "gen_ai.input.messages")
            choices = [[m] for m in from_parts(fields.get("gen_ai.output.messages") or [], "gen_ai.output.messages")]
        elif name in _FIRST and isinstance(fields.get(_FIRST[name]), str):
            _take_first(fields[_FIRST[name]], asked, choices, is_prompt=name == "gen_ai.content.prompt")
    return asked, choices


def _content(event: Mapping[str, Any], fields: Mapping[str, Any]) -> Mapping[str, Any]:
    body = plain(event.get("body"))
    held = body if body is not None else fields.get("gen_ai.event.content")
    if held is None:
        return fields
    try:
        value = structured(held)
    except Unusable:
        return {**fields, "content": held}
    return {**fields, **value} if isinstance(value, dict) else {**fields, "content": value}


def _message(role: str, content: Mapping[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": content.get("role") or role, "content": content.get("content")}
    if content.get("tool_calls"):
        message["tool_calls"] = structured(content["tool_calls"])
    if message["role"] == "tool":
        message["tool_call_id"] = content.get("id") or content.get("tool_call_id")
    return message


def _take_first(
    text: str, asked: list[dict[str, Any]], choices: list[list[dict[str, Any]]], *, is_prompt: bool
) -> None:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    role = "user" if is_prompt else "assistant"
    messages = value if isinstance(value, list) and value else [{"content": text}]
    made = [_message(role, m if isinstance(m, dict) else {"content": m}) for m in messages]
    if is_prompt:
        asked.extend(made)
    else:
        choices.extend([m] for m in made)


def _messages(role: str, parts: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A message in parts as chat messages: one, or one for each answer of a tool."""
    content: list[Any] = []
    calls: list[dict[str, Any]] = []
    reasoning: list[str] = []
    answers: list[dict[str, Any]] = []
    for part in parts:
        kind = part.get("type")
        if kind == "text":
            content.append({"type": "text", "text": part.get("content")})
        elif kind == "reasoning":
            reasoning.append(str(part.get("content")))
        elif kind == "tool_call":
            function = {"name": part.get("name"), "arguments": _as_text(part.get("arguments"))}
            calls.append({"id": part.get("id"), "type": "function", "function": function})
        elif kind == "tool_call_response":
            answer = part.get("response", part.get("result"))
            answers.append({"role": "tool", "tool_call_id": part.get("id"), "content": _as_text(answer)})
        else:
            content.append(part)
    if content or calls or reasoning or not answers:
        message: dict[str, Any] = {"role": role, "content": _joined(content)}
        if reasoning:
            message["reasoning_content"] = "\n".join(reasoning)
        if calls:
            message["tool_calls"] = calls
        yield message
    yield from answers


def _joined(content: list[Any]) -> Any:
    if not content:
        return None
    return content[0]["text"] if len(content) == 1 and content[0].get("type") == "text" else content


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
