"""Words of a text as a set can look for them: what tells in a microsecond that no pattern of many words can match.

Patterns cost tens of microseconds a text, and nearly no text holds what they look for.

Belongs here: splitting, the first digit. Not here: which words a pattern needs (see injection.py, personal.py).
"""

from __future__ import annotations

import re

_LETTERS = bytes(ord(chr(code).lower()) if code < 128 and chr(code).isalpha() else 32 for code in range(256))
_WORDS = bytes(ord(chr(code).lower()) if code < 128 and chr(code).isalnum() else 32 for code in range(256))
_TO_ZERO = bytes(48 if 48 <= code < 58 else 32 for code in range(256))
_DIGIT = re.compile(r"[0-9]")


def first_digit(text: str) -> int:
    """Where the first ASCII digit of a text is, -1 when there is none."""
    if text.isascii():
        return text.encode("ascii").translate(_TO_ZERO).find(b"0")
    found = _DIGIT.search(text)
    return -1 if found is None else found.start()


def letter_runs(text: str) -> list[bytes]:
    """The runs of letters of an ASCII text, in small letters.

    A word that a pattern wants between two `\\b`, or between blanks and marks, is one of them.
    """
    return text.encode("ascii").translate(_LETTERS).split()


def word_runs(text: str) -> list[bytes]:
    """The runs of letters and digits of an ASCII text, in small letters."""
    return text.encode("ascii").translate(_WORDS).split()
