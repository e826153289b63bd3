"""The content of a trace: any JSON, kept as it was written, and the words in it that searches look at.

Belongs here: reading, the fingerprint, the text. Not here: whether two contents say the same (see likeness.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from lakehouse.errors import BadInput, TooLarge
from lakehouse.pathway.likeness import wording_of

MAX_BYTES = 512 << 10
"""Of one content; its entry in the log, with vector and tags, has 1 MiB at the most."""
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
        fingerprint: SHA-256 of the document but for the order of keys, case and spaces: equal ones say the same.
        wording: The same but for words that carry nothing (see likeness.py).
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
        BadInput: It is no JSON, or there is nothing in it.
        TooLarge: It has more than `MAX_BYTES`.
    """
    if len(raw) > MAX_BYTES:
        raise TooLarge(_TOO_LARGE.format(size=len(raw), most=MAX_BYTES), max_bytes=MAX_BYTES)
    try:
        value = orjson.loads(raw)
        line = msgspec.json.format(raw, indent=-1).decode()
    except (orjson.JSONDecodeError, msgspec.DecodeError) as error:
        raise BadInput(f"content is no JSON: {error}", field="content") from None
    except RecursionError:
        raise BadInput("content is nested too deep", field="content") from None
    text = text_of(value)
    if not text.strip():
        raise BadInput("content holds nothing that could be remembered", field="content")
    canonical = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    fingerprint = hashlib.sha256(" ".join(canonical.casefold().split()).encode()).digest()
    return Content(line, text, fingerprint, wording_of(canonical))


def text_of(value: Any) -> str:
    """The words of a JSON value, in its order: texts as they are, numbers and booleans with the name of their field."""
    parts: list[str] = []
    left = _TEXT_CHARACTERS
    for name, leaf in _leaves(value, ""):
        part = leaf if isinstance(leaf, str) else f"{name} {orjson.dumps(leaf).decode()}".strip()
        parts.append(part[:left])
        left -= len(part) + 1
        if left <= 0:
            break
    return "\n".join(part for part in parts if part.strip())


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    waiting: list[tuple[str, Any]] = [(name, value)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(key, value[key]) for key in reversed(value)]
        elif isinstance(value, list):
            waiting += [(name, one) for one in reversed(value)]
        elif value is not None:
            yield name, value
