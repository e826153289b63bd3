"""Whom a message goes to: an e-mail address that could be delivered, a phone in international form.

No network is asked. An address is deliverable-shaped when RFC 5321 allows it in SMTP as it stands: a dot-atom of at
most 64 bytes, a domain with a dot that is not reserved; no comments, quoted strings, address literals or blanks. A
phone begins with "+" and its country code and has as many digits as that country's numbers have.

Belongs here: the two checks. Not here: the refusal (see messages.py). Source: RFC 5321 section 4.1.2, RFC 2606,
RFC 6761; ITU-T E.164.
"""

from __future__ import annotations

import re
from functools import lru_cache

from lakehouse.validation.social_security import mask_ssns

_MAX_ADDRESS, _MAX_LOCAL_BYTES = 254, 64
_MOST_KEPT = 4_096
# Addresses as nearly all are, of which nothing needs to be asked: a dot-atom, a short domain of letters, digits and
# single hyphens, and a top-level domain of letters that is not reserved.
_COMMON = re.compile(
    r"(?=[^@]{1,64}@.{4,63}\Z)[A-Za-z0-9_!#$%&'*+/=?^`{|}~-]+(?:\.[A-Za-z0-9_!#$%&'*+/=?^`{|}~-]+)*"
    r"@(?:[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\.)+([A-Za-z]{2,})"
)
_RESERVED = frozenset({"arpa", "invalid", "local", "localhost", "onion", "test"})
_PHONE = re.compile(r"\+[0-9][0-9 ().\-\u00a0\u2010\u2011/]{3,30}")


def address_fault(address: str) -> str | None:
    """What keeps an e-mail address from being deliverable-shaped, None when nothing does."""
    common = _COMMON.fullmatch(address)
    if common is not None and common[1].lower() not in _RESERVED:
        return None
    from email_validator import EmailNotValidError, validate_email

    if len(address) > _MAX_ADDRESS:
        return f"it has {len(address)} characters, and an address has at most {_MAX_ADDRESS}"
    try:
        parsed = validate_email(address, check_deliverability=False)
    except EmailNotValidError as error:
        return _plain_fault(str(error))
    except (ValueError, UnicodeError):  # lone surrogates
        return "it holds characters that no address has"
    if len(parsed.local_part.encode()) > _MAX_LOCAL_BYTES:
        return f"the part before the @-sign has over {_MAX_LOCAL_BYTES} bytes"
    return None


def phone_fault(phone: str) -> str | None:
    """What keeps a phone from being parsed as E.164, None when nothing does."""
    written = phone.strip()
    if not written.startswith("+"):
        return "it must begin with + and the country code, such as +14155550132"
    if _PHONE.fullmatch(written) is None:
        return "it may hold digits, spaces, hyphens, dots and brackets after the +, and nothing else"
    return _judged(written)[0]


def is_assigned(phone: str) -> bool:
    """Whether a phone that parses lies in a range that its country gives out."""
    return _judged(phone.strip())[1]


@lru_cache(maxsize=_MOST_KEPT)
def _judged(written: str) -> tuple[str | None, bool]:
    """What keeps a phone from being parsed, and whether it is one that its country gives out.

    Kept for the last few thousand: whoever is written to once is written to again, and libphonenumber tries dozens of
    patterns on each.
    """
    import phonenumbers

    try:
        number = phonenumbers.parse(written, None)
    except phonenumbers.NumberParseException:
        return "no country has such a number", False
    if not phonenumbers.is_possible_number(number):
        return "it has too few or too many digits for its country", False
    return None, phonenumbers.is_valid_number(number)


def _plain_fault(reason: str) -> str:
    """email-validator's reason in our words; it may repeat a part of the domain."""
    first = mask_ssns(reason.split(". ", maxsplit=1)[0].rstrip("."))
    return first[:1].lower() + first[1:200]
