"""Bounds of JSON schemas that constrain a model's output.

A schema becomes a grammar, and a grammar of `{"maxLength": 1000000}` takes an engine's memory and time; a model in this
process must not be stopped by what a caller sends.

Belongs here: the bounds. Not here: whether an engine can follow a schema (it says so itself).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.errors import BadInput

_MAX_NODES = 2000
_MAX_DEPTH = 32
_MAX_REPEATS = 2000
_MAX_PATTERN = 200
_REPEATS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")


def check_schema(schema: Any, *, where: str) -> None:
    """Refuse a schema that is no schema, or too large to follow.

    Args:
        schema: JSON Schema as it was sent.
        where: Its place in the request, for the message.

    Raises:
        BadInput: Saying what is too large, or that it is no object.
    """
    if not isinstance(schema, Mapping):
        raise BadInput(f"{where} is not an object", param=where)
    left: list[tuple[Any, int]] = [(schema, 1)]
    nodes = 0
    while left:
        node, depth = left.pop()
        nodes += 1
        if nodes > _MAX_NODES:
            raise BadInput(f"{where} has more than {_MAX_NODES} parts", param=where)
        if depth > _MAX_DEPTH:
            raise BadInput(f"{where} is nested deeper than {_MAX_DEPTH}", param=where)
        if isinstance(node, Mapping):
            _check_node(node, where)
            left += [(value, depth + 1) for value in node.values()]
        elif isinstance(node, Sequence) and not isinstance(node, str):
            left += [(value, depth + 1) for value in node]


def _check_node(node: Mapping[str, Any], where: str) -> None:
    for name in _REPEATS:
        value = node.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > _MAX_REPEATS:
            raise BadInput(f"{where} has {name} {value}; at most {_MAX_REPEATS} is taken", param=where)
    pattern = node.get("pattern")
    if isinstance(pattern, str) and (len(pattern) > _MAX_PATTERN or _repeats_in(pattern) > _MAX_REPEATS):
        raise BadInput(f"{where} has a pattern that is too large", param=where)


def _repeats_in(pattern: str) -> int:
    """The product of the counts in `{n,m}` of a pattern: how far it may unfold."""
    total = 1
    for part in pattern.split("{")[1:]:
        counts = [int(count) for count in part.partition("}")[0].split(",") if count.strip().isdecimal()]
        total *= max([1, *counts])
    return total
