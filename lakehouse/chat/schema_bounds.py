"""Bounds of JSON schemas that constrain a model's output.

A schema becomes a grammar, and a grammar of `{"maxLength": 1000000}` takes an engine's memory and time; a model in this
process must not be stopped by what a caller sends.

Belongs here: the bounds. Not here: whether an engine can follow a schema (it says so itself).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.errors import BadInput

_MAX_NODES = 2000
_MAX_DEPTH = 32
_MAX_REPEATS = 2000
_MAX_PATTERN = 200
_REPEATS = (("minLength", "maxLength"), ("minItems", "maxItems"), ("minProperties", "maxProperties"))
_COUNT = re.compile(r"\{(\d{1,4})(,?)(\d{0,4})\}")
# Repeats of what repeats are parsed in exponential time.
_NESTED = re.compile(r"[*+?}][^()]*\)[*+?{]|\)[*+?{][^()]*\)[*+?{]")
_MAX_NUMBER = 1 << 53


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
    for low, high in _REPEATS:
        for name in (low, high):
            value = node.get(name)
            # A node may also be a map of properties, of which one is called so.
            if value is not None and not isinstance(value, Mapping | bool):
                _check_repeats(name, value, where)
        if isinstance(node.get(low), int) and isinstance(node.get(high), int) and node[low] > node[high]:
            # llama.cpp takes the difference for a huge number: gigabytes of grammar.
            raise BadInput(f"{where} has {low} {node[low]} above {high} {node[high]}", param=where)
    for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        number = node.get(name)
        if isinstance(number, (int, float)) and abs(number) > _MAX_NUMBER:
            raise BadInput(f"{where} has {name} {str(number)[:40]}, beyond 2^53", param=where)
    pattern = node.get("pattern")
    if isinstance(pattern, str):
        _check_pattern(pattern, where)


def _check_repeats(name: str, value: Any, where: str) -> None:
    if not isinstance(value, int) or not 0 <= value <= _MAX_REPEATS:
        raise BadInput(
            f"{where} has {name} {str(value)[:40]}; a whole number up to {_MAX_REPEATS} is taken", param=where
        )


def _check_pattern(pattern: str, where: str) -> None:
    if len(pattern) > _MAX_PATTERN:
        raise BadInput(f"{where} has a pattern of more than {_MAX_PATTERN} characters", param=where)
    if pattern.count("{") != len(_COUNT.findall(pattern)):
        raise BadInput(f"{where} has a pattern with a {{ that is not a plain {{n}}, {{n,}} or {{n,m}}", param=where)
    if _NESTED.search(pattern):
        raise BadInput(f"{where} has a pattern that repeats a group with repeats in it", param=where)
    unfolded = 1
    for low, comma, high in _COUNT.findall(pattern):
        counts = [int(count) for count in (low, high) if count]
        if comma and low and high and counts[0] > counts[1]:
            raise BadInput(f"{where} has a pattern that repeats from {low} down to {high} times", param=where)
        unfolded *= max([1, *counts])
    if unfolded > _MAX_REPEATS:
        raise BadInput(f"{where} has a pattern that repeats more than {_MAX_REPEATS} times", param=where)
