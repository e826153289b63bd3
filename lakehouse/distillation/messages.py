"""Chat messages in one normal form, made of what evidence holds as input and output.

A message is a JSON object: `role` (system, user, assistant, tool), `content` (a text, or null beside tool calls),
`tool_calls` with `arguments` as JSON text, `tool_call_id` and `name` of a tool's answer. Calls are numbered anew
(`call_1`, `call_2`, …), so that the same calls of two runs are the same messages.

Belongs here: reading, the normal form. Not here: whether a conversation can be trained on (see shape.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import orjson

from lakehouse.distillation.refusal import Refused

Message: TypeAlias = dict[str, Any]
ROLES = ("system", "user", "assistant", "tool")
_ROLE_NAMES = {"developer": "system"}
# Their texts are JSON, so a plain text stands in quotes.
_JSON_STREAMS = frozenset({"workflow_nodes"})


def read_input(text: str | None, stream: str) -> list[Message]:
    """The messages that were asked: those of a JSON array, or one of the user.

    Raises:
        Refused: By the shape gate.
    """
    listed = _listed(text)
    if listed is not None and any("role" in one for one in listed):
        return _normal(listed)
    return _normal([{"role": "user", "content": _plain(text, stream)}])


def read_output(text: str | None, stream: str) -> list[Message]:
    """The messages that came of it: those of a JSON array, or one of the assistant, with the tool calls of an array.

    Raises:
        Refused: By the shape gate.
    """
    listed = _listed(text)
    if listed is not None and any("role" in one for one in listed):
        return _normal(listed)
    if listed is not None and all(isinstance(one.get("function"), dict) for one in listed):
        return _normal([{"role": "assistant", "content": None, "tool_calls": listed}])
    return _normal([{"role": "assistant", "content": _plain(text, stream)}])


def number_calls(messages: Sequence[Message]) -> list[Message]:
    """The messages with their tool calls numbered in order, and answers pointing to them.

    An answer without an id belongs to the call before it, where there is only one without an answer.
    """
    names: dict[str, str] = {}
    open_calls: list[str] = []
    count = 0
    numbered = []
    for message in messages:
        made = dict(message)
        if message["role"] == "assistant":
            open_calls = []
            calls = []
            for call in message.get("tool_calls", ()):
                count += 1
                if call["id"]:
                    names[call["id"]] = f"call_{count}"
                open_calls.append(f"call_{count}")
                calls.append({**call, "id": f"call_{count}"})
            if calls:
                made["tool_calls"] = calls
        elif message["role"] == "tool":
            known = names.get(message["tool_call_id"])
            if known is None and message["tool_call_id"] == "" and len(open_calls) == 1:
                known = open_calls[0]
            made["tool_call_id"] = known or ""
            open_calls = [one for one in open_calls if one != known]
        numbered.append(made)
    return numbered


def without_tail(messages: Sequence[Message]) -> list[Message]:
    """The messages up to the last of the assistant: what follows it is nobody's to learn."""
    last = max((place for place, message in enumerate(messages) if message["role"] == "assistant"), default=-1)
    return list(messages[: last + 1])


def texts_of(messages: Sequence[Message]) -> Iterator[str]:
    """Every text in messages that somebody wrote: contents, names of calls, arguments."""
    for message in messages:
        if message["content"]:
            yield message["content"]
        for call in message.get("tool_calls", ()):
            yield call["function"]["name"]
            yield call["function"]["arguments"]


def compared_json(value: Any, roles: Sequence[str]) -> list[str]:
    """The texts of a text, or of messages of some roles that stand in a file of somebody else's; nothing is refused."""
    if isinstance(value, str):
        return [value] if value.strip() else []
    if not isinstance(value, list):
        return []
    texts = []
    for one in value:
        if isinstance(one, str):
            texts.append(one)
        elif isinstance(one, dict) and one.get("role") in roles:
            try:
                texts += texts_of([_message(one)])
            except Refused:
                continue
    return texts


def _listed(text: str | None) -> list[Any] | None:
    """A JSON array of objects, None for anything else."""
    if text is None or not text.lstrip().startswith("["):
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if value and all(isinstance(one, dict) for one in value) else None


def _plain(text: str | None, stream: str) -> str:
    if text is None:
        return ""
    if stream in _JSON_STREAMS and text.startswith('"'):
        try:
            return str(orjson.loads(text))
        except orjson.JSONDecodeError:
            return text
    return text


def _normal(messages: Sequence[Any]) -> list[Message]:
    return [_message(message) for message in messages]


def _message(raw: Any) -> Message:
    role = _ROLE_NAMES.get(raw.get("role"), raw.get("role"))
    if role not in ROLES:
        raise Refused("shape", "a message has a role that is none of " + ", ".join(ROLES))
    message: Message = {"role": role, "content": _content(raw.get("content"))}
    calls = raw.get("tool_calls")
    if role == "assistant" and calls:
        if not isinstance(calls, list):
            raise Refused("shape", "tool calls are no list")
        message["tool_calls"] = [_call(call) for call in calls]
    if role == "tool":
        message["tool_call_id"] = raw.get("tool_call_id") if isinstance(raw.get("tool_call_id"), str) else ""
        if isinstance(raw.get("name"), str):
            message["name"] = raw["name"]
    if message["content"] is None and "tool_calls" not in message:
        message["content"] = ""
    return message


def _content(content: Any) -> str | None:
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        return "".join(str(part.get("text") or "") for part in content)
    raise Refused("shape", "a message holds something else than text")


def _call(call: Any) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise Refused("shape", "a tool call names no function")
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = orjson.dumps({} if arguments is None else arguments).decode()
    given = call.get("id")
    return {
        "id": given if isinstance(given, str) else "",
        "type": "function",
        "function": {"name": function["name"], "arguments": arguments or "{}"},
    }
