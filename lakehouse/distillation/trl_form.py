"""Rows as TRL's trainers take them, conversational: `messages`, pairs of `chosen` and `rejected`, labelled completions.

Arguments of calls and descriptions of tools are JSON texts: as columns of their own each function's arguments would be
null in every other call. TRL reads `tools` from text by itself.

Belongs here: the forms. Not here: the Arrow schema and files (see lakehouse/adapters/distill_writer.py). Source: TRL,
"Dataset formats and types".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from lakehouse.distillation.messages import Message

COLUMNS = {
    "chat": ("messages", "tools"),
    "pair": ("prompt", "chosen", "rejected", "tools"),
    "label": ("prompt", "completion", "label", "tools"),
}
"""The columns of each form; all but `label` and `tools` are lists of messages."""


def chat_row(messages: Sequence[Message], tools: Sequence[Any] | None) -> dict[str, Any]:
    """A row for `SFTTrainer`."""
    return {"messages": [_message(message) for message in messages], "tools": _tools(tools)}


def pair_row(
    prompt: Sequence[Message], chosen: Sequence[Message], rejected: Sequence[Message], tools: Sequence[Any] | None
) -> dict[str, Any]:
    """A row for `DPOTrainer`; the whole of both answers."""
    return {
        "prompt": [_message(message) for message in prompt],
        "chosen": [_message(message) for message in chosen],
        "rejected": [_message(message) for message in rejected],
        "tools": _tools(tools),
    }


def label_row(
    prompt: Sequence[Message], completion: Sequence[Message], label: bool, tools: Sequence[Any] | None
) -> dict[str, Any]:
    """A row for `KTOTrainer`."""
    return {
        "prompt": [_message(message) for message in prompt],
        "completion": [_message(message) for message in completion],
        "label": label,
        "tools": _tools(tools),
    }


def _message(message: Message) -> dict[str, Any]:
    return {
        "role": message["role"],
        "content": message["content"],
        "tool_calls": message.get("tool_calls"),
        "tool_call_id": message.get("tool_call_id"),
        "name": message.get("name"),
    }


def _tools(tools: Sequence[Any] | None) -> str | None:
    return orjson.dumps(list(tools)).decode() if tools else None
