"""Personal data in a text: e-mail addresses, phones, Social Security numbers, street addresses; how often, never which.

Belongs here: the patterns. Not here: where they are in a text (see personal_spans.py), columns of data sets (see
lakehouse/ingest/pii.py), the guard that refuses Social Security numbers (see messages.py).
"""

from __future__ import annotations

import re

from lakehouse.validation.plain_text import plain
from lakehouse.validation.social_security import holds_ssn
from lakehouse.validation.words import first_digit, letter_runs

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
_TEN_DIGITS = re.compile(r"[2-9][0-9]{9}")
# What every phone of PHONE without a "+" holds, and how far before it such a match may begin: "+1-(".
_PHONE_CORE = re.compile(r"[2-9][0-9]{2}(?:\) ?|[ .-])[2-9][0-9]{2}[ .-][0-9]{4}")
_BEFORE_CORE = 4
# The words of which every match of STREET in an ASCII text holds one.
_STREET_WORDS = frozenset(
    b"st street ave avenue rd road boulevard blvd dr drive ln lan lne lane court ct way place pl parkway pkwy highway"
    b" hwy circle cir terrace ter trail square sq box".split()
)


def personal_data(text: str) -> dict[str, int]:
    """How often each kind is in a text; kinds that are not in it are left out."""
    seen = plain(text)
    found: dict[str, int] = {}
    if "@" in seen:
        found["personal.email"] = _count(EMAIL, seen)
    digit = first_digit(seen)
    if digit >= 0:
        found["personal.phone"] = _phones(seen, digit)
        found["personal.street"] = _streets(seen)
        found["personal.ssn"] = int(holds_ssn(text))
    return {rule: count for rule, count in found.items() if count} if found else found


def _phones(seen: str, at: int) -> int:
    """How many phones are in a plain text whose first digit is at a place."""
    count, core = 0, _PHONE_CORE.search(seen, at)
    if core is not None or "+" in seen:
        start = 0 if core is None or "+" in seen else max(0, core.start() - _BEFORE_CORE)
        count = len(PHONE.findall(seen, start))
    return count if _TEN_DIGITS.search(seen, at) is None else count + _count(NAMED_PHONE, seen)


def _streets(seen: str) -> int:
    if seen.isascii() and _STREET_WORDS.isdisjoint(letter_runs(seen)):
        return 0
    return _count(STREET, seen)


def _count(pattern: re.Pattern[str], text: str) -> int:
    return len(pattern.findall(text))
