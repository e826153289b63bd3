"""Gate: a sample is not longer than a trainer's context, by an estimate that no tokenizer is needed for.

Belongs here: the tokens of messages and tools. Not here: the estimate of a text (see lakehouse/chat/token_estimate.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson

from lakehouse.chat.token_estimate import estimate_tokens
from lakehouse.distillation.messages import Message, texts_of
from lakehouse.distillation.refusal import Refused

MESSAGE_OVERHEAD = 5
"""Tokens of a chat template around a message or a call: its role, and the marks before and behind."""


def count_tokens(messages: Sequence[Message], tools: Sequence[Any] | None = None) -> int:
    """An estimate of a conversation's tokens, which for ordinary text is not below what a tokenizer counts.

    Args:
        messages: In normal form.
        tools: Descriptions of the tools, or None.
    """
    texts = sum(map(_tokens_of, texts_of(messages)))
    marks = sum(MESSAGE_OVERHEAD * (1 + len(message.get("tool_calls", ()))) for message in messages)
    described = _tokens_of(orjson.dumps(tools).decode()) if tools else 0
    return texts + marks + described


# System prompts and tools stand in every sample of a data set.
@lru_cache(maxsize=128)
def _tokens_of(text: str) -> int:
    return estimate_tokens(text)


def check_length(tokens: int, most: int) -> None:
    """Let a sample of so many tokens pass.

    Raises:
        Refused: It is longer than `most`.
    """
    if tokens > most:
        raise Refused("length", f"has about {tokens} tokens; at most {most} are allowed")
