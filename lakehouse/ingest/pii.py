"""Personal data: which columns of a new dataset look like e-mails, phones, SSNs or street addresses.

Belongs here: rules on names and sampled values. Not here: which values are sampled (see
lakehouse/adapters/conversion_pii.py), what a list or a structure holds (see pii_members.py), masking (see
lakehouse/query).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from lakehouse.ingest.pii_members import NESTED, members

_MAIL = r"[^@\s;,|<>]+@[^@\s;,|<>]+\.[A-Za-z]{2,}"
_EMAIL = re.compile(_MAIL)
# `a@x.org`, `Jane <jane@x.org>`, `a@x.org; Jane <b@y.org>`
_PERSON = rf"(?:[^<>@;|]{{0,100}}<{_MAIL}>|{_MAIL})"
_EMAILS = re.compile(rf"{_PERSON}(?:\s*[;,|]\s*{_PERSON})*")
_EXTENSION = r"(?: ?(?:x|ext\.?) ?\d+)?"
_PHONE = re.compile(
    r"(?=(?:[^\dx]*\d){7})(?:\+?\d{1,3}[ .-]?)?(?:\(\d{1,4}\)[ .-]?)?\d{2,4}(?:[ .-]?\d{2,4}){1,4}" + _EXTENSION
)
_WRITTEN = r"(?:(?:\+?1[ .-]?)?(?:\(\d{3}\) ?|\d{3}[.-])\d{3}[.-]\d{4}|\+\d{7,15})"
_WRITTEN_PHONE = re.compile(rf"(?<![\w.+-]){_WRITTEN}(?![\w-])")
_WRITTEN_PHONES = re.compile(rf"(?:tel:)?{_WRITTEN}{_EXTENSION}(?:\s*[;,/|]\s*{_WRITTEN}{_EXTENSION})*")
_BETWEEN = re.compile(r"[;,/|]| or ")
_SSN = re.compile(r"(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}")
# A whole number has no leading zeros.
_BARE_SSN = re.compile(r"\d{7,9}")
_STREET = re.compile(
    r"(?:\d+[A-Za-z]?\s+\S.*\b(?:st|street|ave|avenue|rd|road|blvd|dr|drive|ln|lane|ct|court|way|pl|place|pkwy|hwy)\b.*"
    r"|p\.? ?o\.? box \d+.*)",
    re.IGNORECASE,
)
# What is personal whatever the name says.
_UNNAMED = (_EMAILS.fullmatch, _WRITTEN_PHONES.fullmatch, _SSN.fullmatch, _STREET.fullmatch)
# Where the name says "street" any word with a number will do: street names differ from country to country.
_NUMBERED = re.compile(r"(?=.*[^\W\d]{2}).*\d.*", re.DOTALL)
_EMAIL_NAME = re.compile(r"e_?mail")
_PHONE_NAME = re.compile(r"(?<!head)(?<!micro)phone(?!tic)|(?<!auto)mobile|(^|_)(cell|tel|fax)(_|$)")
_SSN_NAME = re.compile(r"(^|_)ssn(_|$)|social_?security|national_?id")
_STREET_NAME = re.compile(r"street|(^|_)(home_?|mailing_?|postal_?)?addr(ess)?(_?(line)?_?\d)?(_|$)")
# What is told about phones or mails, and is none: `phone_model`, `mobile_users`, `email_count`.
_ABOUT_NAME = re.compile(
    r"(^|_)(number_of|num_of|no_of|is|has)_|_(users?|counts?|models?|types?|kind|brands?|makes?|vendors?|os|plans?|notes?"
    r"|comments?|status|sessions?|visits?|clicks?|views?|traffic|minutes?|seconds?|duration|prices?|costs?|bills?|fees?"
    r"|sales|units?|shipments?|revenue|rates?|shares?|ratio|pct|percent|usage|versions?|apps?|calls?|verified|valid|flag"
    r"|date|at|on|since|year|ip|subscribers?|subscriptions?|opens?|opened|sent)(_|$)"
)
# The share of filled values that must match when the name says nothing; with a name that does, fewer are enough.
_UNNAMED_SHARE = 0.8
_NAMED_SHARE = 0.2
# Taking a structure apart costs as much as matching dozens of plain values.
_MOST_TAKEN_APART = 50


class _Says(NamedTuple):
    """What a name says its values are; `is_about` when it rather tells something about them."""

    email: bool
    phone: bool
    ssn: bool
    street: bool
    is_about: bool


def says_personal(name: str) -> bool:
    """True for a name that says e-mail, phone or SSN, so that a column without any value is personal."""
    says = _says(name)
    return (says.email or says.phone or says.ssn) and not says.is_about


def is_personal(name: str, values: Sequence[str]) -> bool:
    """True when a column looks like personal data by its name and a sample of its values.

    A name alone decides for an e-mail, a phone or an SSN column without values, so that an empty first file does not
    leave later ones open. Lists, structures and JSON texts are personal when what they hold is, each under its key.
    """
    filled = [text for v in values if (text := v.strip().strip('"'))]
    if not filled:
        return says_personal(name)
    if _holds_personal(name, filled[:: -(-len(filled) // _MOST_TAKEN_APART)]):
        return True
    says = _says(name)
    if _is_named_so(says, filled):
        return True
    return any(_share(matches, filled) >= _UNNAMED_SHARE for matches in _UNNAMED)


def _is_named_so(says: _Says, filled: Sequence[str]) -> bool:
    """True when enough values are what the name says."""
    if says.email and _share(_EMAIL.search, filled) >= _NAMED_SHARE:
        return True
    if says.phone and _share(_WRITTEN_PHONE.search if says.is_about else _has_phone, filled) >= _NAMED_SHARE:
        return True
    if says.ssn and any(_SSN.search(v) or _BARE_SSN.fullmatch(v) for v in filled):
        return True
    return says.street and _share(_NUMBERED.fullmatch, filled) >= _NAMED_SHARE


def _has_phone(value: str) -> bool:
    """A phone, some phones, or one within words: `555-123-4567 (home)`."""
    if _WRITTEN_PHONE.search(value):
        return True
    return any(_PHONE.fullmatch(part.strip()) for part in _BETWEEN.split(value))


def _holds_personal(name: str, sample: Sequence[str]) -> bool:
    """True when enough of some values are lists or structures with something personal in them."""
    kinds = [_kinds_of(name, value) for value in sample if value.startswith(NESTED)]
    named, unnamed = (sum(is_so) for is_so in zip(*kinds, strict=True)) if kinds else (0, 0)
    return named / len(sample) >= _NAMED_SHARE or unnamed / len(sample) >= _UNNAMED_SHARE


def _kinds_of(name: str, value: str) -> tuple[bool, bool]:
    """Whether one value holds what a name says, and what is personal without a name."""
    is_unnamed = False
    for key, member in members(value):
        # A list's members are what the column says; a structure says itself what they are.
        if _is_named_so(_says(key or name), [member]):
            return True, True
        is_unnamed = is_unnamed or any(matches(member) for matches in _UNNAMED)
    return False, is_unnamed


@lru_cache(maxsize=4096)
def _says(name: str) -> _Says:
    plain = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
    patterns = (_EMAIL_NAME, _PHONE_NAME, _SSN_NAME, _STREET_NAME, _ABOUT_NAME)
    return _Says(*(pattern.search(plain) is not None for pattern in patterns))


def _share(matches: Callable[[str], object], values: Sequence[str]) -> float:
    return sum(1 for v in values if matches(v)) / len(values)
