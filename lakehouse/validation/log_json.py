"""A value as the JSON text that a log line keeps: as `loggable` makes it, with sorted keys.

Nearly every value is kept as it was sent. Whether it is can be seen in its JSON text, at a fraction of what making a
copy of it costs.

Belongs here: seeing it. Not here: what a line leaves out (see texts.py), the line (see log_line.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from lakehouse.validation.plain_text import plain
from lakehouse.validation.social_security import may_hold_ssn
from lakehouse.validation.texts import INTEGER_BITS, MAX_DEPTH, MAX_KEY, SSN_KEY, loggable

# Shorter than any text or list that is cut.
_MOST_QUICK = 20_000
_NINE_DIGITS = 9
_DIGITS = b"0123456789"


def log_json(value: Mapping[str, Any]) -> str:
    """The JSON text of a value as lines keep it."""
    text = _as_it_is(value)
    return orjson.dumps(loggable(value), option=orjson.OPT_SORT_KEYS).decode() if text is None else text


def _as_it_is(value: Mapping[str, Any]) -> str | None:
    """The JSON text of a value of which a line surely keeps all; None when it may not."""
    if not value:
        return "{}"
    if not _is_plain(value, 0):
        return None
    try:
        encoded = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # half of a surrogate pair
        return None
    text = encoded.decode()
    return None if len(encoded) > _MOST_QUICK or _may_be_masked(text, encoded) else text


def _is_plain(value: Any, depth: int) -> bool:
    """Whether JSON holds a value as it is, no deeper and with no longer keys than a line keeps."""
    kind = type(value)
    if kind is str or value is None or kind is bool or kind is float:
        return True
    if kind is int:
        return bool(-(1 << INTEGER_BITS) < value < 1 << INTEGER_BITS)
    if depth >= MAX_DEPTH:
        return False
    if kind is dict:
        for key, within in value.items():
            if type(key) is not str or len(key) > MAX_KEY:
                return False
            if type(within) is not str and not _is_plain(within, depth + 1):
                return False
        return True
    if kind is list:
        return all(_is_plain(within, depth + 1) for within in value)
    return False


def _may_be_masked(text: str, encoded: bytes) -> bool:
    """Whether a text within a JSON text may hold a Social Security number, or may be named as one is.

    What is between two texts never makes a number of their parts, nor takes one apart: it is neither digit nor letter.
    """
    if "\\" in text:
        text = text.replace("\\n", "\n").replace('\\"', '"')
        if "\\" in text:  # a control character, which may stand within a number unseen
            return True
    if text.isascii():
        lowered = text.lower()
        if "ssn" in lowered or "social" in lowered or "<" in text or "&" in text:
            return True
        if len(encoded) - len(encoded.translate(None, _DIGITS)) < _NINE_DIGITS:
            return False
        return may_hold_ssn(plain(text))
    return "<" in text or "&" in text or SSN_KEY.search(text) is not None or may_hold_ssn(plain(text))
