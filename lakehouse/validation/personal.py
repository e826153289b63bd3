"""Personal data in a text: e-mail addresses, phones, Social Security numbers, street addresses; how often, never which.

Belongs here: the patterns. Not here: where they are in a text (see personal_spans.py), columns of data sets (see
lakehouse/ingest/pii.py), the guard that refuses Social Security numbers (see messages.py).
"""

from __future__ import annotations

import re

from lakehouse.validation.plain_text import plain
from lakehouse.validation.social_security import holds_ssn

EMAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,6}(?:xn--[a-z0-9-]{1,59}|[^\W\d_]{2,24})(?![\w@])", re.IGNORECASE
)
PHONE = re.compile(
    r"(?<![\w+])(?<![0-9][.-])(?:(?:\+?1[ .-]?)?(?:\([2-9][0-9]{2}\) ?"
    r"|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}(?![\w-])"
    r"|\+[1-9](?:[ ().-]{0,2}[0-9]){7,14}(?![\w-]))"
)
NAMED_PHONE = re.compile(
    r"\b(?:call|phone|telephone|tel|mobile|cell|text|fax|whatsapp|dial)(?: me| us| number| no)?(?: at| on"
    r"| is)?[:. #]{0,3}"
    r"(?:\+?1 ?)?[2-9][0-9]{9}(?![\w-])",
    re.IGNORECASE,
)
STREET = re.compile(
    r"(?<![\w-])[1-9][0-9]{0,5}[A-Za-z]? (?:(?:[NSEW]|[NS][EW]|North|South|East"
    r"|West)\.? )?(?:[A-Z0-9][\w'-]{0,30}\.? ){1,4}"
    r"(?:St(?:reet)?|Ave(?:nue)?|R(?:oa)?d|Boulevard|Blvd|Dr(?:ive)?|L(?:a)?n(?:e)?|Court|Ct|Way|Place|Pl|Parkway|Pkwy"
    r"|Highway|Hwy|Circle|Cir|Terrace|Ter|Trail|Square|Sq)\b"
    r"|\b(?i:p\.? ?o\.? box) [0-9]{1,8}\b"
)
_DIGIT = re.compile(r"[0-9]")
_TEN_DIGITS = re.compile(r"[2-9][0-9]{9}")


def personal_data(text: str) -> dict[str, int]:
    """How often each kind is in a text; kinds that are not in it are left out."""
    seen = plain(text)
    found: dict[str, int] = {}
    if "@" in seen:
        found["personal.email"] = _count(EMAIL, seen)
    if _DIGIT.search(seen) is not None:
        found["personal.phone"] = _count(PHONE, seen)
        if _TEN_DIGITS.search(seen) is not None:
            found["personal.phone"] += _count(NAMED_PHONE, seen)
        found["personal.street"] = _count(STREET, seen)
        found["personal.ssn"] = int(holds_ssn(text))
    return {rule: count for rule, count in found.items() if count}


def _count(pattern: re.Pattern[str], text: str) -> int:
    return sum(1 for _ in pattern.finditer(text))
