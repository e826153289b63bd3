"""Checks of shape that several kinds share: each gives the refusal, or None.

Belongs here: texts, lists, the context's fields. Not here: what texts say (see messages.py, fill.py, playbook.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.validation.plain_text import plain
from lakehouse.validation.verdict import Refusal

MAX_TEXT = 50_000
MAX_NAME = 200
MAX_LIST = 1_000


def schema(rule: str, field: str, reason: str) -> Refusal:
    """A refusal for a field of the wrong shape."""
    return Refusal("Schema", rule, reason, field)


def text_fault(artifact: Mapping[str, Any], field: str, rule: str, *, most: int = MAX_TEXT) -> Refusal | None:
    """A refusal for a field that is there and no text, or too long; a missing one is no matter of shape."""
    value = artifact.get(field)
    if value is None:
        return None
    if not isinstance(value, str):
        return schema(rule, field, f"{field} must be text, not {type_name(value)}")
    if len(value) > most:
        return schema(rule, field, f"{field} has {len(value):,} characters; at most {most:,} are checked")
    return None


def is_blank(value: object) -> bool:
    """True for a missing text, and one that shows nothing."""
    if value is None:
        return True
    # What begins with a mark or a letter of ASCII shows at least that.
    return isinstance(value, str) and not "!" <= value[:1] <= "~" and not shown(value)


def shown(value: str) -> str:
    """A text without blanks around it; one of invisible characters alone is empty."""
    stripped = value.strip()
    return stripped if stripped.isascii() and stripped.isprintable() else plain(stripped).strip()


def name_list_fault(value: object, field: str, rule: str) -> Refusal | None:
    """A refusal for what is no list of texts."""
    if not isinstance(value, list | tuple):
        return schema(rule, field, f"{field} must be a list of names, not {type_name(value)}")
    if len(value) > MAX_LIST:
        return schema(rule, field, f"{field} has {len(value):,} names; at most {MAX_LIST:,} are checked")
    for index, name in enumerate(value):
        if not isinstance(name, str):
            return schema(rule, f"{field}[{index}]", f"a name must be text, not {type_name(name)}")
        if len(name) > MAX_NAME:
            return schema(rule, f"{field}[{index}]", f"the name has over {MAX_NAME} characters")
    return None


def type_name(value: object) -> str:
    """The type of a value in JSON's words."""
    names = {bool: "a boolean", int: "a number", float: "a number", str: "text", list: "a list", tuple: "a list"}
    return "null" if value is None else "an object" if isinstance(value, Mapping) else names.get(type(value), "that")
