"""The split of questions: what a proposal is made of, and what it is tried on, have no question in common.

A question is on one side for good, by a hash of its words, whenever and wherever it is asked.

Belongs here: the rule. Not here: finding questions (see lakehouse/adapters/replay_tasks.py).
"""

from __future__ import annotations

import hashlib
import re

_WORD = re.compile(r"\w+")
_HELD_OUT = 50
"""Of a hundred, so many buckets are held out."""


def question_key(question: str) -> str:
    """A question by its words, whatever their case and what stands between them."""
    words = " ".join(_WORD.findall(question.casefold()))
    return hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()[:32]


def is_held_out(question: str) -> bool:
    """Whether a question is kept for trying proposals."""
    return int(question_key(question)[:8], 16) % 100 >= _HELD_OUT
