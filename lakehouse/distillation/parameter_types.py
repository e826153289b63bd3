"""Of which type each parameter of a corpus is: a text for a number, or a number for a truth value, is no parameter.

Belongs here: types. Not here: ranges, defaults (see parameters.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any


def wanted_type(name: str, value: Any) -> str | None:
    """What a parameter must be, where its value is of another type; None where it fits.

    Args:
        name: The parameter; one that is not known here may be anything.
        value: Its value; lists as tuples.
    """
    is_fit, wanted = _TYPES.get(name, (lambda _: True, ""))
    return None if is_fit(value) else wanted


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return _is_number(value) and value == int(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(one, str) for one in value)


def _or_null(is_fit: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or is_fit(value)


_TEXTS = (_is_texts, "a list of texts")
_WHOLE = (_is_whole, "a whole number")
_TYPES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "sources": _TEXTS,
    "licences": _TEXTS,
    "entities": _TEXTS,
    "max_tokens": _WHOLE,
    "seed": _WHOLE,
    "chunk_tokens": _WHOLE,
    "chunk_overlap": _WHOLE,
    "limit_per_task": (_or_null(_is_whole), "a whole number, or null"),
    "split_shares": (lambda value: isinstance(value, tuple) and all(map(_is_number, value)), "a list of three numbers"),
    "is_scrubbed": (lambda value: isinstance(value, bool), "true or false"),
    "near_duplicate": (_or_null(_is_number), "a number, or null"),
    "leakage": (_is_number, "a number"),
    "own_licence": (_or_null(lambda value: isinstance(value, str)), "a text, or null"),
}
