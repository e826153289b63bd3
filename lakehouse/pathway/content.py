"""The content of a trace: any JSON, kept as it was written, and the words in it that searches look at.

Belongs here: reading, the text. Not here: whether two contents say the same (see likeness.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from lakehouse.errors import BadInput, TooLarge
from lakehouse.pathway.likeness import Number, fingerprint_of, wording_of

MAX_BYTES = 512 << 10
"""Of one content; its entry in the log, with vector and tags, has 1 MiB at the most."""
MAX_DEPTH = 200
_TEXT_CHARACTERS = 64 << 10
_TOO_LARGE = (
    "content has {size} bytes; at most {most} are kept of a trace. Store files at /v1/storage and name their key"
)


@dataclass(frozen=True, slots=True)
class Content:
    """What a trace says.

    Attributes:
        json: The document on one line, numbers as they were written.
        text: Its words, for search.
        fingerprint: Equal ones are the same document but for the order of names.
        wording: Equal ones say the same (see likeness.py).
    """

    json: str
    text: str
    fingerprint: bytes
    wording: bytes


def read_content(raw: bytes) -> Content:
    """Read the content of a trace.

    Args:
        raw: A JSON document.

    Raises:
        BadInput: It is no JSON, names a field twice, is nested too deep, or there is nothing in it.
        TooLarge: It has more than `MAX_BYTES`.
    """
    if len(raw) > MAX_BYTES:
        raise TooLarge(_TOO_LARGE.format(size=len(raw), most=MAX_BYTES), max_bytes=MAX_BYTES)
    try:
        orjson.loads(raw)  # stricter than Python's: no NaN, no lone surrogate, no broken UTF-8
        line = msgspec.json.format(raw, indent=-1).decode()
        value = json.loads(line, parse_int=Number, parse_float=Number, object_pairs_hook=_object)
    except (ValueError, msgspec.DecodeError) as error:
        raise BadInput(f"content is not JSON: {error}", field="content") from None
    except RecursionError:
        raise BadInput(f"content is nested deeper than {MAX_DEPTH}", field="content") from None
    text = text_of(value)
    if not text.strip():
        raise BadInput("content holds nothing that could be remembered", field="content")
    return Content(line, text, fingerprint_of(value), wording_of(value))


def text_of(value: Any) -> str:
    """The words of a JSON value, in its order: texts as they are, numbers and booleans with the name of their field.

    Raises:
        BadInput: It is nested deeper than `MAX_DEPTH`.
    """
    parts: list[str] = []
    left = _TEXT_CHARACTERS
    for name, leaf in _leaves(value):
        if left > 0 and leaf.strip():
            part = f"{name} {leaf}"[:left] if name else leaf[:left]
            parts.append(part)
            left -= len(part) + 1
    return "\n".join(parts)


def _leaves(value: Any) -> Iterator[tuple[str, str]]:
    """Each leaf as text, with the name of its field where it is no text; to the end, so that depth is looked at."""
    waiting: list[tuple[str, Any, int]] = [("", value, 0)]
    while waiting:
        name, value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise BadInput(f"content is nested deeper than {MAX_DEPTH}", field="content")
        if isinstance(value, dict):
            waiting += [(key, value[key], depth + 1) for key in reversed(value)]
        elif isinstance(value, list):
            waiting += [(name, one, depth + 1) for one in reversed(value)]
        elif isinstance(value, Number):
            yield name, value
        elif isinstance(value, str):
            yield "", value
        elif value is not None:
            yield name, "true" if value else "false"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInput(f"content names the field {twice[:60]!r} twice", field="content")
    return made
