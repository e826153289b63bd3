"""Fields of inputs and of a mode's `with`: their types, and whether a value fits.

Belongs here: types and their check. Not here: who declares fields (see document.py, mode.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import orjson

from lakehouse.errors import BadInput, TooLarge

FieldKind = Literal["text", "number", "integer", "boolean", "list", "object", "any"]
KINDS: tuple[str, ...] = get_args(FieldKind)
MAX_VALUE_BYTES = 384 << 10
"""Of what goes into a node, and of what comes out: both stand in one line of the event log."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a mode's `with`.

    Attributes:
        kind: Its type; null stands for a field that is not given.
        meaning: What it says, for readers.
        is_required: It must be given.
        is_raw: An object is handed on as it is: what stands in braces in it is not of this workflow.
    """

    kind: FieldKind
    meaning: str
    is_required: bool = False
    is_raw: bool = False


def fits(kind: str, value: Any) -> bool:
    """Whether a value is of a type; a whole number is a number, true and false are none."""
    if kind == "any":
        return True
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {
        "text": isinstance(value, str),
        "number": is_number,
        "integer": is_number and isinstance(value, int),
        "boolean": isinstance(value, bool),
        "list": isinstance(value, list),
        "object": isinstance(value, Mapping),
    }[kind]


def named(value: Any) -> str:
    """The type of a value, as messages call it."""
    names = {str: "text", bool: "boolean", int: "integer", float: "number", list: "list", type(None): "null"}
    return "object" if isinstance(value, Mapping) else names.get(type(value), type(value).__name__)


def check_fields(given: Mapping[str, Any], fields: Mapping[str, Field], *, of: str) -> None:
    """Refuse rendered values that are not what a mode takes.

    Raises:
        BadInput: Naming the field.
    """
    for name, field in fields.items():
        value = given.get(name)
        if value is None and field.is_required:
            raise BadInput(f"{of}: with.{name} is missing or null; it is {field.meaning}", field=name)
        if value is not None and not fits(field.kind, value):
            raise BadInput(f"{of}: with.{name} must be of type {field.kind}, not {named(value)}", field=name)


def bounded_json(value: Any, what: str) -> Any:
    """A value that fits into a line beside another.

    Raises:
        BadInput: It is no JSON.
        TooLarge: It is too large.
    """
    try:
        size = len(orjson.dumps(value))
    except (TypeError, orjson.JSONEncodeError) as error:
        raise BadInput(f"{what} is not JSON: {error}") from None
    if size > MAX_VALUE_BYTES:
        raise TooLarge(f"{what} has {size >> 10} KiB; at most {MAX_VALUE_BYTES >> 10} are kept. Make it shorter")
    return value
