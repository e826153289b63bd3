"""Texts as a reader sees them: no invisible characters, one hyphen, one space, one kind of digit, no accents.

A number that is written with non-breaking hyphens, full-width digits or a zero-width space within is still that number.

Belongs here: the mapping, where each character came from. Not here: what is looked for (see social_security.py,
pay.py).
"""

from __future__ import annotations

import html
import re
import unicodedata

_HYPHENS = "\u2043\u2212\u02d7\u30fc\u00af\u2500\u2501"
_DOTS = "\u00b7\u2022\u2027\u30fb\u3002\uff61"
# Letters without a category that says it: they show as nothing.
_BLANKS = "\u115f\u1160\u3164\uffa0"
# Letters of other alphabets that look like Latin ones.
_LOOK = str.maketrans(
    "\u0405\u0455\u0410\u0430\u0412\u0415\u0435\u041a\u043a\u041c\u041d\u041e\u043e\u0420\u0440\u0421\u0441\u0422"
    "\u0425\u0445\u0423\u0443\u0406\u0456\u0408\u0458\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f"
    "\u03bf\u03a1\u03a4\u03a5\u03a7",
    "SsAaBEeKkMHOoPpCcTXxYyIiJjABEZHIKMNOoPTYX",
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Longer than any character's number; Python refuses to read some of them.
_NO_ENTITY = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{8,});?")
_TAG = re.compile(r"<[^<>]{0,300}>")


class _Table(dict[int, str]):
    """What each character becomes; made when it is first met."""

    def __missing__(self, code: int) -> str:
        made = self[code] = _plain_character(chr(code))
        return made


def _plain_character(character: str) -> str:
    if character in "\t\n\r":
        return character
    category = unicodedata.category(character)
    if category in ("Cf", "Mn", "Me", "Cc", "Cn", "Co") or character in _BLANKS:
        return ""
    if category == "Cs":
        return "?"
    if category == "Pd" or character in _HYPHENS:
        return "-"
    if category == "Zs" or character == "\u2800":
        return " "
    if category in ("Zl", "Zp"):
        return "\n"
    if character in _DOTS:
        return "."
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    folded = unicodedata.normalize("NFKD", character)
    return "".join(c for c in folded if unicodedata.category(c) not in ("Mn", "Cf")).translate(_LOOK)


_TABLE = _Table()


def plain(text: str) -> str:
    """The text as a reader sees it."""
    if text.isascii() and (text.replace("\n", " ").isprintable() or _CONTROL.search(text) is None):
        return text
    return text.translate(_TABLE)


def plain_with_origins(text: str) -> tuple[str, list[int]]:
    """The same, and for each character of it the index in `text` that it came from."""
    parts = [_TABLE[ord(character)] for character in text]
    return "".join(parts), [index for index, part in enumerate(parts) for _ in part]


def unmarked(text: str) -> str | None:
    """The text without HTML tags and with its entities read; None when there are none."""
    if "<" not in text and "&" not in text:
        return None
    read = html.unescape(_NO_ENTITY.sub("", _TAG.sub("", text)))
    return None if read == text else read
