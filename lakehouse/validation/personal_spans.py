"""Where personal data is in a text: e-mail addresses, phones, Social Security numbers, cards, street addresses.

Belongs here: spans and which of two that overlap counts. Not here: the patterns (see personal.py, social_security.py,
card_numbers.py), what is put in their place (see lakehouse/distillation/scrub.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from lakehouse.validation.card_numbers import card_spans
from lakehouse.validation.personal import EMAIL, NAMED_PHONE, PHONE, STREET
from lakehouse.validation.plain_text import plain, plain_with_origins
from lakehouse.validation.social_security import ssn_spans

KINDS = ("email", "ssn", "card", "phone", "street")
"""From the surest to the least sure: of two spans that overlap, the surer one counts."""
_DIGIT = re.compile(r"[0-9]")
_NINE_DIGITS = re.compile(r"[0-9](?:[^0-9A-Za-z]{0,5}[0-9]){8}")
_BARE_PHONE_DIGITS = 10
# Also those that no exchange gives out, as people make them up.
_WRITTEN_PHONE = re.compile(r"(?<![\w.+-])(?:\+?1[ .-]?)?(?:\([0-9]{3}\) ?|[0-9]{3}[.-])[0-9]{3}[.-][0-9]{4}(?![\w-])")


class PersonalSpan(NamedTuple):
    """One place: its kind, and where it begins and ends."""

    kind: str
    start: int
    end: int


def personal_spans(text: str) -> list[PersonalSpan]:
    """All places in a text in their order, none of which overlaps another."""
    if "@" not in text and text.isascii() and _DIGIT.search(text) is None:
        return []
    seen = plain(text)
    found = list(_spans(seen))
    if found and seen is not text:
        _, origins = plain_with_origins(text)
        found = [PersonalSpan(kind, origins[start], origins[end - 1] + 1) for kind, start, end in found]
    if _DIGIT.search(seen) is not None:
        found += [PersonalSpan("ssn", start, end) for start, end in ssn_spans(text)]
    return _apart(found)


def _spans(seen: str) -> Iterator[PersonalSpan]:
    if "@" in seen:
        yield from (PersonalSpan("email", *match.span()) for match in EMAIL.finditer(seen))
    if _DIGIT.search(seen) is None:
        return
    yield from (PersonalSpan("street", *match.span()) for match in STREET.finditer(seen))
    if _NINE_DIGITS.search(seen) is None and "+" not in seen:
        return
    for pattern in (PHONE, _WRITTEN_PHONE):
        yield from (PersonalSpan("phone", *match.span()) for match in pattern.finditer(seen))
    # The words that say what it is stay.
    yield from (
        PersonalSpan("phone", match.end() - _BARE_PHONE_DIGITS, match.end()) for match in NAMED_PHONE.finditer(seen)
    )
    yield from (PersonalSpan("card", *span) for span in card_spans(seen))


def _apart(found: list[PersonalSpan]) -> list[PersonalSpan]:
    kept: list[PersonalSpan] = []
    for span in sorted(found, key=lambda s: (KINDS.index(s.kind), s.start, -s.end)):
        if all(span.end <= other.start or span.start >= other.end for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda s: s.start)
