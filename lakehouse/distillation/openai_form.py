"""Rows as OpenAI's fine-tuning takes them: chats, and preferences for DPO, one JSON object a line.

A preference is one answer against another: where runs of many turns part, the message at which they do.

Belongs here: the two forms. Not here: files (see lakehouse/adapters/distill_writer.py). Source: OpenAI, "Supervised
fine-tuning" and "Direct preference optimization"; API reference, FineTuneChatRequestInput and
FineTunePreferenceRequestInput.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lakehouse.distillation.messages import Message


def chat_row(messages: Sequence[Message], tools: Sequence[Any] | None) -> dict[str, Any]:
    """A line of a supervised set."""
    row: dict[str, Any] = {"messages": [_message(message) for message in messages]}
    if tools:
        row["tools"] = list(tools)
    return row


def preference_row(
    prompt: Sequence[Message], chosen: Sequence[Message], rejected: Sequence[Message], tools: Sequence[Any] | None
) -> dict[str, Any] | None:
    """A line of a preference set; None where the answers begin with the same message, so that no single one differs."""
    if chosen[0] == rejected[0]:
        return None
    return {
        "input": {
            "messages": [_message(message) for message in prompt],
            "tools": list(tools or ()),
            "parallel_tool_calls": True,
        },
        "preferred_output": [_message(chosen[0])],
        "non_preferred_output": [_message(rejected[0])],
    }


def _message(message: Message) -> dict[str, Any]:
    # A tool's answer has no name there.
    kept = ("role", "content", "tool_calls", "tool_call_id")
    return {name: message[name] for name in kept if name in message}
