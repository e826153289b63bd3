"""Why a line is no JSON object that can be trusted, told for the few lines that the engine does not take as they are.

The engine's parser is lenient (NaN, trailing commas) and does not say where a fault is; every line that looks as if
that mattered is looked at here, and so is every line that it refused.

Belongs here: limits, and the judgement of one line. Not here: which lines are looked at (see
lakehouse/adapters/evidence_sql.py), types of fields (see transform.py).
"""

from __future__ import annotations

import re

import orjson

LEFT_OUT = "is of a load"
"""No fault: what a load asked stays in the raw log, and says nothing of people, models or answers."""
MAX_LINE_BYTES = 16 << 20
MAX_DEPTH = 512
"""Parsers that give up at 1,000 levels still read what was kept."""
MAX_KEPT_BYTES = 64 << 10
"""So much of a line that did not fit is kept in quarantine."""
TOO_LONG = f"is longer than {MAX_LINE_BYTES >> 20} MiB"
TOO_MANY_VALUES = "has so many values that reading it takes more memory than there is"
NOT_UTF8 = "is no UTF-8"
_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)


def why_unfit(line: bytes) -> str | None:
    """Why a line is refused, or None where it is a JSON object by RFC 8259 and not too deep.

    Args:
        line: Its bytes without the LF.
    """
    if not line.strip():
        return "is empty"
    if depth_of(line) > MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH} levels"
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return f"is no JSON: {error}"
    return None if isinstance(value, dict) else "is no JSON object"


def depth_of(line: bytes) -> int:
    """How deep its arrays and objects are nested, at the deepest."""
    depth = deepest = 0
    for byte in _TEXTS.sub(b"", line):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest
