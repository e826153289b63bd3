"""Values of foreign JSON, taken with their type or refused with a reason.

Belongs here: one value at a time, chat messages. Not here: which fields a format has.
"""

from __future__ import annotations

import math
from typing import Any

from lakehouse.trajectories.run import Unusable

_MOST_INTEGER = 2**63 - 1


def an_object(value: Any, name: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        Unusable: It is none; the text says what it is.
    """
    if not isinstance(value, dict):
        raise Unusable(f"{name} is {_kind(value)}, where an object is needed")
    return value


def a_list(value: Any, name: str) -> list[Any]:
    """A JSON array.

    Raises:
        Unusable: It is none.
    """
    if not isinstance(value, list):
        raise Unusable(f"{name} is {_kind(value)}, where an array is needed")
    return value


def a_text(value: Any, name: str) -> str:
    """A text that is not empty.

    Raises:
        Unusable: It is none.
    """
    if not isinstance(value, str) or not value:
        raise Unusable(f"{name} is {_kind(value) if not isinstance(value, str) else 'empty'}, where a text is needed")
    return value


def an_id(value: Any, name: str) -> str:
    """A text or a whole number, as text.

    Raises:
        Unusable: It is neither.
    """
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else a_text(value, name)


def a_number(value: Any, name: str) -> float | None:
    """A finite number, or None.

    Raises:
        Unusable: It is something else.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unusable(f"{name} is {_kind(value)}, where a number is needed")
    return value


def a_count(value: Any, name: str) -> int | None:
    """A whole number from 0 that 64 bits hold, or None.

    Raises:
        Unusable: It is something else.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_INTEGER:
        raise Unusable(f"{name} is {str(value)[:40]}, where a whole number from 0 is needed")
    return value


def optional_text(value: Any) -> str | None:
    """A text, or None where it is empty or no text: for what a run can do without."""
    return value if isinstance(value, str) and value else None


def chat_messages(value: Any, name: str) -> list[dict[str, Any]]:
    """Chat messages: an array, not empty, of objects with a role each.

    Raises:
        Unusable: It is none.
    """
    messages = a_list(value, name)
    if not messages:
        raise Unusable(f"{name} is empty")
    for place, message in enumerate(messages):
        a_text(an_object(message, f"{name}[{place}]").get("role"), f"{name}[{place}].role")
    return messages


def _kind(value: Any) -> str:
    if value is None:
        return "missing"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "an array", dict: "an object"}
    return names.get(type(value), type(value).__name__)
