"""How many tokens a text has at most, without the model's tokenizer.

Small models' byte-pair tokenizers give a word of up to four letters one token, a longer one rarely more than one for
four letters, and every digit and sign one of its own. Measured with SmolLM2's on worker records and abstracts: the
bound is 1.05 to 1.66 times the count, and never below it (tests/integration/test_answers.py).

Belongs here: the bound. Not here: what is left out when it is passed (see bundle.py).
"""

from __future__ import annotations

import re

_PIECE = re.compile(r"[A-Za-z]+|[^A-Za-z\s]|\n|[^\S\n]{2,}")
_LETTERS_OF_A_TOKEN = 4
CHAT_OVERHEAD = 24
"""Tokens of a chat template around a system and a user message."""


def token_bound(text: str) -> int:
    """At most so many tokens."""
    return sum(map(_bound, _PIECE.findall(text)))


def _bound(piece: str) -> int:
    if piece[0].isascii() and piece[0].isalpha():
        return 1 + (len(piece) - 1) // _LETTERS_OF_A_TOKEN
    if piece[0].isspace():
        return 1 + len(piece) // _LETTERS_OF_A_TOKEN
    return len(piece.encode("utf-8", "replace"))
