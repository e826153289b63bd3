"""About how many tokens a text has, where no tokenizer can be asked.

Small models' byte-pair tokenizers give a word of up to four letters one token, a longer one rarely more than one for
four letters, and every digit and sign one of its own. Measured with SmolLM2's on worker records and abstracts, the
estimate is 1.05 to 1.66 times the count; of e-mail addresses and upper case it may be half of it.

Belongs here: the estimate. Not here: the model's own count, which decides where it can be had (see
lakehouse/answer/service.py).
"""

from __future__ import annotations

import re

_PIECE = re.compile(r"[A-Za-z]+|[^A-Za-z\s]|\n|[^\S\n]{2,}")
_LETTERS_OF_A_TOKEN = 4
CHAT_OVERHEAD = 24
"""Tokens of a chat template around a system and a user message."""


def estimate_tokens(text: str) -> int:
    """Tokens, above the count for ordinary text."""
    return sum(map(_tokens_of, _PIECE.findall(text)))


def _tokens_of(piece: str) -> int:
    if piece[0].isascii() and piece[0].isalpha():
        return 1 + (len(piece) - 1) // _LETTERS_OF_A_TOKEN
    if piece[0].isspace():
        return 1 + len(piece) // _LETTERS_OF_A_TOKEN
    return len(piece.encode("utf-8", "replace"))
