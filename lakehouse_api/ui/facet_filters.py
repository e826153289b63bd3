"""Forms of filters: what is ticked in them, and the filter that it means to a search.

Belongs here: the names of the boxes, forms to filters. Not here: counting what there is to tick (see facets.py), what
a filter means (see lakehouse/retrieval/filters.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from lakehouse.errors import BadInput


def filter_of(fields: Iterable[tuple[str, str]]) -> dict[str, Any] | None:
    """A form's filter as the search takes it; values of one field are alternatives, fields hold together.

    Args:
        fields: The form's. `f.<field>` is a value as JSON, `l.<field>` an element of a list, `min.<field>` and
            `max.<field>` are bounds.

    Raises:
        BadInput: A bound is no number, or a value is no JSON.
    """
    values: dict[str, list[Any]] = {}
    elements: dict[str, list[Any]] = {}
    bounds: dict[str, dict[str, float]] = {}
    for key, text in fields:
        kind, _, name = key.partition(".")
        if not name or not text.strip():
            continue
        if kind in ("f", "l"):
            (values if kind == "f" else elements).setdefault(name, []).append(_json(text, name))
        elif kind in ("min", "max"):
            bounds.setdefault(name, {})["gte" if kind == "min" else "lte"] = _bound(text, name)
    parts: list[dict[str, Any]] = [{name: {"in": given}} for name, given in values.items()]
    parts += [_any_of(name, given) for name, given in elements.items()]
    parts += [{name: limits} for name, limits in bounds.items()]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else {"and": parts}


def chosen_of(fields: Sequence[tuple[str, str]]) -> Mapping[str, frozenset[str]]:
    """What is ticked in a form, by the name of the box, so that a page loaded again shows it ticked."""
    chosen: dict[str, set[str]] = {}
    for key, text in fields:
        if key.partition(".")[0] in ("f", "l", "min", "max") and text.strip():
            chosen.setdefault(key, set()).add(text)
    return {key: frozenset(texts) for key, texts in chosen.items()}


def value_of(text: str) -> Any:
    """The value of a box.

    Raises:
        BadInput: It is no JSON scalar.
    """
    return _json(text, "a box")


def _any_of(name: str, given: Sequence[Any]) -> dict[str, Any]:
    parts = [{name: {"contains": value}} for value in given]
    return parts[0] if len(parts) == 1 else {"or": parts}


def _json(text: str, name: str) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, str | bool | int | float):
        raise BadInput(f"the filter of {name!r} is not a JSON scalar: {text[:40]!r}", field=name)
    return value


def _bound(text: str, name: str) -> float:
    try:
        bound = float(text)
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound):
        raise BadInput(f"the bound of {name!r} must be a number, not {text[:40]!r}", field=name)
    return bound
