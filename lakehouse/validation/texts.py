"""The texts of an artifact, by field: where findings are looked for, and what a log line keeps.

An artifact may be of any depth and hold anything: what is beyond the bounds here is not looked at, and left out of
logs.

Belongs here: walking values in bounded time. Not here: what is found (see injection.py, personal.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lakehouse.validation.social_security import SSN_MASK, WITHHELD, holds_ssn, mask_ssns

MAX_DEPTH, MAX_LEAVES, MAX_CHARACTERS, MAX_KEY = 12, 20_000, 50_000, 200
# Addresses and ids are what they are for, and no finding.
_ADDRESSED = frozenset({"to", "candidate_id", "client_id"})
SSN_KEY = re.compile(r"ssn|social.?sec", re.IGNORECASE)
INTEGER_BITS = 63


def texts_of(artifact: Mapping[str, Any]) -> dict[str, str]:
    """The texts of each field that holds any, those of lists and objects within joined by lines."""
    found: dict[str, str] = {}
    left = MAX_CHARACTERS
    for field, value in artifact.items():
        if field in _ADDRESSED:
            continue
        if isinstance(value, str):
            text = value[:left]
        elif isinstance(value, list | tuple | Mapping):
            text = "\n".join(leaf[:left] for leaf in _leaves(value))[:left]
        else:
            continue
        if text:
            found[field] = text
            left -= len(text)
        if left <= 0:
            break
    return found


def _leaves(value: Any) -> Iterator[str]:
    """The strings within a value, in their order, with a stack instead of recursion."""
    stack, taken = [(value, 0)], 0
    while stack and taken < MAX_LEAVES:
        one, depth = stack.pop()
        taken += 1
        if isinstance(one, str):
            yield one
        elif depth < MAX_DEPTH and isinstance(one, Mapping):
            stack += [(v, depth + 1) for k, v in reversed(list(one.items())) if k not in _ADDRESSED]
        elif depth < MAX_DEPTH and isinstance(one, list | tuple):
            stack += [(v, depth + 1) for v in reversed(one)]


def loggable(value: Any, *, key: str = "", depth: int = 0) -> Any:
    """A value as JSON can hold it, without Social Security numbers and without what is nested beyond sense."""
    if isinstance(value, str):
        if len(value) > MAX_CHARACTERS:
            value = value[:MAX_CHARACTERS] + "…"
        text = mask_ssns(value)
        if not text.isascii():
            text = text.encode("utf-8", "replace").decode()
        return WITHHELD if SSN_KEY.search(key) and holds_ssn(f"SSN {text}") else text
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        text = str(value) if abs(value) < 1 << INTEGER_BITS else "…"
        return SSN_MASK if SSN_KEY.search(key) and holds_ssn(f"SSN {text}") else value if text != "…" else text
    if isinstance(value, float):
        return value
    if depth >= MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {
            loggable(str(k)[:MAX_KEY]): loggable(v, key=str(k)[:MAX_KEY], depth=depth + 1)
            for k, v in list(value.items())[:MAX_LEAVES]
        }
    if isinstance(value, list | tuple):
        return [loggable(v, key=key, depth=depth + 1) for v in value[:MAX_LEAVES]]
    return f"<{type(value).__name__}>"


def quoted(value: object, *, most: int = 60) -> str:
    """A value of the user's in an error: short, on one line, without Social Security numbers."""
    text = value if isinstance(value, str) else str(value)
    return repr(mask_ssns(text[: 4 * most])[:most])
