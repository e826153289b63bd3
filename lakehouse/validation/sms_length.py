"""The length of an SMS as carriers count it: septets of GSM-7, or UTF-16 code units when a character is not in it.

One message of 140 bytes holds 160 septets or 70 code units. A character of the extension table costs two septets; an
emoji costs two code units.

Belongs here: the tables and the count. Not here: the refusal (see messages.py). Source: 3GPP TS 23.038 section 6.2.1,
TS 23.040 section 9.2.3.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

GSM_LIMIT, UCS2_LIMIT = 160, 70
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
# What most messages are: characters of `_BASIC` that are ASCII.
_ONE_SEPTET_EACH = re.compile(r"[\n\r -Z_a-z]*")
_EXTENSION = frozenset("\f^{}\\[~]|€")


class SmsLength(NamedTuple):
    """The length of a body in the units of its encoding, and how many of them one message holds."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    limit: int


def sms_length(body: str) -> SmsLength:
    """Count a body."""
    if _ONE_SEPTET_EACH.fullmatch(body) is not None:
        return SmsLength("GSM-7", len(body), GSM_LIMIT)
    others = set(body) - _BASIC
    if others <= _EXTENSION:
        return SmsLength("GSM-7", len(body) + sum(body.count(character) for character in others), GSM_LIMIT)
    return SmsLength("UCS-2", len(body) + sum(ord(character) > 0xFFFF for character in body), UCS2_LIMIT)
