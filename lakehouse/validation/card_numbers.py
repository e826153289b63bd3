"""Numbers of payment cards in a text: 13 to 19 digits that begin as an issuer's do and whose check digit is right.

Belongs here: finding them. Not here: what is done about one (see personal_spans.py). Source: ISO/IEC 7812-1 (issuer
ranges, annex B: the check digit by Luhn's formula).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# In one group, or in groups of at least three that one blank or hyphen parts.
_DIGITS = re.compile(r"(?<![\w.-])(?:[2-6][0-9]{12,18}|[2-6][0-9]{3}(?:[ -][0-9]{3,7}){2,4})(?![\w-])(?!\.[0-9])")
_NOT_DIGIT = re.compile(r"[ -]")
_LENGTHS = range(13, 20)
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def card_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where card numbers are in a plain text, as `(start, end)`."""
    for match in _DIGITS.finditer(text):
        digits = _NOT_DIGIT.sub("", match.group())
        if len(digits) in _LENGTHS and has_check_digit(digits):
            yield match.span()


def has_check_digit(digits: str) -> bool:
    """Whether the last digit is what Luhn's formula makes of the others.

    Args:
        digits: ASCII digits, at least one.
    """
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = ord(digit) - 48
        total += _DOUBLED[value] if place % 2 else value
    return total % 10 == 0
