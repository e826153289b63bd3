"""Lines of an exchange between lakes and runtimes: JSON objects with `format` (`lakehouse.exchange/1`) and `kind`.

Belongs here: what all kinds have in common. Not here: what a kind holds (see lakehouse/evidence/exchange.py,
lakehouse/replay/exchange.py, lakehouse/client/pathway_exchange.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

import orjson

from lakehouse.errors import BadInput

FORMAT = "lakehouse.exchange/1"


def read_exchanged(line: bytes, *, kinds: Collection[str], number: int, writer: str) -> dict[str, Any]:
    """Read a line of some kinds.

    Args:
        line: Its bytes.
        kinds: What it may be.
        number: Its number in the file, from 1, for messages.
        writer: The command that writes such lines, for messages.

    Raises:
        BadInput: It is no JSON, or of another form or kind.
    """
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"line {number} is not JSON ({error})", line=number) from None
    if not isinstance(said, dict) or said.get("format") != FORMAT or said.get("kind") not in kinds:
        raise BadInput(
            f"line {number} is none of {FORMAT}, kind {' or '.join(kinds)}; `{writer}` writes such", line=number
        )
    return said


def require_unchanged(said: Mapping[str, Any], data: bytes, *, number: int) -> None:
    """Let a line pass whose `sha256` is that of what it carries.

    Raises:
        BadInput: It was changed on its way.
    """
    if hashlib.sha256(data).hexdigest() != said.get("sha256"):
        raise BadInput(f"line {number}: raw was changed on its way; its SHA-256 is not that of the line", line=number)
