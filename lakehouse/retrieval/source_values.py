"""Values of sources as JSON has them: dates as ISO 8601, decimals as numbers, nothing that JSON cannot say.

Belongs here: one value. Not here: rows (see corpus_rows.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from lakehouse.retrieval.corpus import ValueType

_LARGEST = 2**63 - 1
_PLAIN = frozenset({str, bool, type(None)})
_BOOLEANS = {"true": True, "false": False}


class BadValue(ValueError):
    """A text is not what its column is declared to hold."""


def json_value(value: Any) -> Any:
    """A value as JSON has it: whole numbers beyond 64 bits and bytes become text, NaN and infinities null."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, int):
        return value if -_LARGEST <= value <= _LARGEST else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, datetime):
        return value.isoformat() if value.tzinfo is None else value.astimezone(UTC).isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(k): json_value(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(v) for v in value]
    return value.hex() if isinstance(value, bytes) else str(value)


def split_value(value: Any, separator: str) -> list[Any] | None:
    """A text as the list of its elements, blanks around them gone; lists stay, null stays null."""
    if value is None:
        return None
    if isinstance(value, list | tuple):
        return [json_value(v) for v in value]
    elements = (part.strip() for part in str(value).split(separator))
    return [element for element in elements if element]


def read_value(value: Any, kind: ValueType, name: str) -> Any:
    """A text as what it stands for; values that are no texts are taken as they are, blank texts as null.

    Raises:
        BadValue: The text stands for nothing of the kind.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if kind == "text":
        plain = json_value(value)
        return plain if isinstance(plain, str) else str(plain)
    if not isinstance(value, str):
        return json_value(value)
    text = value.strip()
    try:
        return _BOOLEANS[text.lower()] if kind == "boolean" else _number(text, kind)
    except (ValueError, KeyError):
        raise BadValue(f"{value[:80]!r} in {name!r} is not of type {kind}") from None


def _number(text: str, kind: ValueType) -> int | float:
    if "_" in text:
        raise ValueError(text)
    number = int(text) if kind == "integer" else float(text)
    if not math.isfinite(number) or (kind == "integer" and abs(number) > _LARGEST):
        raise ValueError(text)
    return number


def _decimal(value: Decimal) -> Any:
    if not value.is_finite():
        return None
    return json_value(int(value)) if value == value.to_integral_value() else float(value)
