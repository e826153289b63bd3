"""Two answers to one question: the prompt up to where they part, and what each says from there.

The prompt is the longest beginning that both share and that ends before a message of the assistant, as trainers find it
themselves in pairs without a prompt of their own.

Belongs here: where two runs part, when two sides are no pair. Not here: which runs are paired (see
lakehouse/adapters/distill_sources.py), files (see openai_form.py, trl_form.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lakehouse.distillation.messages import Message, number_calls, texts_of, without_tail
from lakehouse.distillation.refusal import Refused


@dataclass(frozen=True, slots=True)
class Pair:
    """A prompt and its two answers; both begin with a message of the assistant and end with one."""

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]


def part_runs(prompt: Sequence[Message], chosen: Sequence[Message], rejected: Sequence[Message]) -> Pair:
    """Part two runs that began alike.

    Args:
        prompt: What both were asked.
        chosen: The messages that followed in the one.
        rejected: Those in the other.

    Raises:
        Refused: One side is empty, or both say the same.
    """
    one = number_calls([*prompt, *without_tail(chosen)])
    other = number_calls([*prompt, *without_tail(rejected)])
    if len(one) <= len(prompt) or len(other) <= len(prompt):
        raise Refused("shape", "one side has no answer of the assistant")
    if _said(one) == _said(other):
        raise Refused("shape", "both sides say the same")
    shared = 0
    while shared < min(len(one), len(other)) and one[shared] == other[shared]:
        shared += 1
    while shared and not (_begins_answer(one, shared) and _begins_answer(other, shared)):
        shared -= 1
    if shared == 0:
        raise Refused("shape", "nobody asks the assistant anything")
    return Pair(one[:shared], one[shared:], other[shared:])


def split_last_answer(messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """A run as all before the assistant's last message, and that message alone.

    Raises:
        Refused: The assistant says nothing in it.
    """
    whole = without_tail(messages)
    if not whole:
        raise Refused("shape", "one side has no answer of the assistant")
    return whole[:-1], whole[-1:]


def _begins_answer(messages: Sequence[Message], place: int) -> bool:
    return place < len(messages) and messages[place]["role"] == "assistant"


def _said(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """What is said, whatever blanks and case."""
    return [(message["role"], " ".join(" ".join(texts_of([message])).casefold().split())) for message in messages]
