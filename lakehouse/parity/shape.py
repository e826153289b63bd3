"""The shape of a JSON body: its members, the kinds of their values, the lengths of its lists; not what texts say.

Of texts only those that name something count: `field`, `kind` and `rule`, and the like in the flat form's spelling.

Belongs here: where two shapes differ. Not here: which bodies are compared (see comparison.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lakehouse.counted import counted

_NAMING = frozenset({"field", "kind", "rule", "Field", "Kind"})
_MOST_TEXT = 60


def differences(left: Any, right: Any, *, at: str = "body") -> Iterator[str]:
    """Say where the shapes of two JSON values differ, one line for each place.

    Args:
        left: A decoded JSON value.
        right: Another.
        at: What the place is called.
    """
    if kind_of(left) != kind_of(right):
        yield f"{at}: {kind_of(left)} ≠ {kind_of(right)}"
    elif isinstance(left, Mapping):
        yield from _member_differences(left, right, at)
    elif isinstance(left, list):
        if len(left) != len(right):
            yield f"{at}: {counted(len(left), 'item')} ≠ {counted(len(right), 'item')}"
        for number, (one, other) in enumerate(zip(left, right, strict=False)):
            yield from differences(one, other, at=f"{at}[{number}]")


def kind_of(value: object) -> str:
    """What JSON calls a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
        case _:
            return "object"


def shown(text: str) -> str:
    """A text of a service as it can be printed: quoted, shortened, without control characters."""
    return json.dumps(text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…")


def _member_differences(left: Mapping[str, Any], right: Mapping[str, Any], at: str) -> Iterator[str]:
    for name in dict.fromkeys((*left, *right)):
        place = f"{at}.{name}" if name.isidentifier() else f"{at}[{shown(name)}]"
        if name not in right:
            yield f"{place}: only left has it"
        elif name not in left:
            yield f"{place}: only right has it"
        elif name in _NAMING and isinstance(left[name], str) and isinstance(right[name], str):
            if left[name] != right[name]:
                yield f"{place}: {shown(left[name])} ≠ {shown(right[name])}"
        else:
            yield from differences(left[name], right[name], at=place)
