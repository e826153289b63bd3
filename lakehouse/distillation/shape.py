"""Gate: the conversation is one that trainers take.

System messages come first, somebody asks before the assistant answers, every tool call is answered before anybody else
speaks (the last message may be a call), nothing is empty, the assistant has the last word.

Belongs here: the rules of a conversation and of tools' descriptions. Not here: how messages are read (see messages.py),
the files' forms (see openai_form.py, trl_form.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import orjson

from lakehouse.distillation.messages import Message
from lakehouse.distillation.refusal import Refused

_FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_conversation(messages: Sequence[Message], tools: Sequence[Any] | None) -> None:
    """Let a whole conversation pass.

    Args:
        messages: In normal form, calls numbered.
        tools: Descriptions of the tools, or None.

    Raises:
        Refused: Says what is wrong with it.
    """
    if not messages or messages[-1]["role"] != "assistant":
        raise Refused("shape", "no answer of the assistant is there")
    if all(message["role"] in ("system", "assistant") for message in messages):
        raise Refused("shape", "nobody asks the assistant anything")
    waiting: list[str] = []
    has_begun = False
    for message in messages:
        role = message["role"]
        if role == "system" and has_begun:
            raise Refused("shape", "a system message stands within the conversation")
        has_begun = has_begun or role != "system"
        if role == "tool":
            if message["tool_call_id"] not in waiting:
                raise Refused("shape", "a tool answers a call that was not made")
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            raise Refused("shape", "a tool call has no answer")
        if not (message["content"] or "").strip() and not message.get("tool_calls"):
            raise Refused("shape", f"a message of the {role} is empty")
        for call in message.get("tool_calls", ()):
            _check_call(call["function"])
            waiting.append(call["id"])
    _check_tools(messages, tools)


def read_tools(value: Any) -> list[Any] | None:
    """Descriptions of tools as metadata has them; None where there are none.

    Raises:
        Refused: They are no list of functions with names.
    """
    if not value:
        return None
    if not isinstance(value, list) or not all(_name_of(tool) for tool in value):
        raise Refused("shape", "tools are not described as functions with names")
    return value


def _check_call(function: dict[str, Any]) -> None:
    if _FUNCTION_NAME.fullmatch(function["name"]) is None:
        raise Refused("shape", "a tool call's name has other characters than letters, digits, _ and -")
    try:
        arguments = orjson.loads(function["arguments"])
    except orjson.JSONDecodeError:
        arguments = None
    if not isinstance(arguments, dict):
        raise Refused("shape", "arguments of a tool call are no JSON object")


def _check_tools(messages: Sequence[Message], tools: Sequence[Any] | None) -> None:
    if tools is None:
        return
    described = {_name_of(tool) for tool in tools}
    called = {call["function"]["name"] for message in messages for call in message.get("tool_calls", ())}
    if not called <= described:
        raise Refused("shape", "a tool is called that is not among those described")


def _name_of(tool: Any) -> str | None:
    function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) and name else None
