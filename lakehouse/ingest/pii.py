"""Personal data: which columns of a new dataset look like e-mails, phones, SSNs or street addresses.

Belongs here: rules on names and sampled values. Not here: masking (see lakehouse/query).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")
_PHONE = re.compile(r"(?:\+?\d{1,3}[ .-]?)?(?:\(\d{2,4}\)|\d{2,4})(?:[ .-]?\d{2,4}){1,4}(?: ?(?:x|ext\.?) ?\d+)?")
_FORMATTED_PHONE = re.compile(r"(?:\+?1[ .-]?)?(?:\(\d{3}\) ?|\d{3}[.-])\d{3}[.-]\d{4}|\+\d{7,15}")
_SSN = re.compile(r"(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}")
# A list, or a JSON text such as {"contact": {"email": "a@x.org"}}: a value that is an address and nothing else.
_EMAIL_MEMBER = re.compile(r"[\[{](?:.*[\"'\s,:\[{])?[^@\s\"',;:\[{]+@[^@\s\"',;:]+\.[A-Za-z]{2,}[\"',\]}]", re.DOTALL)
# A whole number has no leading zeros.
_BARE_SSN = re.compile(r"\d{7,9}")
_STREET = re.compile(
    r"(?:\d+[A-Za-z]?\s+\S.*\b(?:st|street|ave|avenue|rd|road|blvd|dr|drive|ln|lane|ct|court|way|pl|place|pkwy|hwy)\b.*"
    r"|p\.? ?o\.? box \d+.*)",
    re.IGNORECASE,
)
# Where the name says "street" any word with a number will do: street names differ from country to country.
_NUMBERED = re.compile(r"(?=.*[^\W\d]{2}).*\d.*", re.DOTALL)
_EMAIL_NAME = re.compile(r"e_?mail")
_PHONE_NAME = re.compile(r"phone|mobile|(^|_)(cell|tel|fax)(_|$)")
_SSN_NAME = re.compile(r"(^|_)ssn(_|$)|social_?security|national_?id")
_STREET_NAME = re.compile(r"street|(^|_)(home_?|mailing_?|postal_?)?addr(ess)?(_?(line)?_?\d)?(_|$)")
# The share of filled values that must match when the name says nothing; with a name that does, fewer are enough.
_UNNAMED_SHARE = 0.8
_NAMED_SHARE = 0.2


def is_personal(name: str, values: Sequence[str]) -> bool:
    """True when a column looks like personal data by its name and a sample of its values.

    A name alone decides for an e-mail, a phone or an SSN column without values, so that an empty first file does not
    leave later ones open.
    """
    plain = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
    filled = [v.strip() for v in values if v.strip()]
    named = bool(_EMAIL_NAME.search(plain) or _PHONE_NAME.search(plain) or _SSN_NAME.search(plain))
    if not filled:
        return named
    if _EMAIL_NAME.search(plain) and _share_with(_EMAIL, filled) >= _NAMED_SHARE:
        return True
    if _share(_EMAIL, filled) >= _UNNAMED_SHARE or _share_with(_EMAIL_MEMBER, filled) >= _UNNAMED_SHARE:
        return True
    if _PHONE_NAME.search(plain) and _share_with(_PHONE, filled) >= _NAMED_SHARE:
        return True
    if _SSN_NAME.search(plain) and any(_SSN.search(v) or _BARE_SSN.fullmatch(v) for v in filled):
        return True
    if _share(_FORMATTED_PHONE, filled) >= _UNNAMED_SHARE or _share(_SSN, filled) >= _UNNAMED_SHARE:
        return True
    if _STREET_NAME.search(plain) and _share(_NUMBERED, filled) >= _NAMED_SHARE:
        return True
    return _share(_STREET, filled) >= _UNNAMED_SHARE


def _share(pattern: re.Pattern[str], values: Sequence[str]) -> float:
    return sum(pattern.fullmatch(v) is not None for v in values) / len(values)


def _share_with(pattern: re.Pattern[str], values: Sequence[str]) -> float:
    """The share of values that hold one: `Jane <jane@x.org>`, `a@x.org;b@y.org`, a list."""
    return sum(pattern.search(v) is not None for v in values) / len(values)
