"""Texts that are held out from elsewhere, as an evaluation set in JSON lines.

A line is an object with `messages`; or `prompt` or `input` (a text, messages, or an object with `messages`) and what
is answered, as `completion`, `chosen`, `answer`, `output` or `preferred_output`; or `text` alone.

Belongs here: reading the file line by line. Not here: what is refused because of it (see
lakehouse/distillation/leakage.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from lakehouse.distillation.messages import compared_json
from lakehouse.distillation.parameters import Kind
from lakehouse.errors import BadInput, NotFound
from lakehouse.storage.publish import hash_file

_ASKED = ("prompt", "input", "question")
_ANSWERED = ("completion", "chosen", "answer", "output", "preferred_output", "text")


def held_out_sha256(path: Path) -> str:
    """SHA-256 hex of the file.

    Raises:
        NotFound: There is none.
    """
    try:
        return hash_file(path)
    except FileNotFoundError:
        raise NotFound(f"there is no file {path} to hold out; give the path of a file of JSON lines") from None


def read_held_out(path: Path, kind: Kind) -> Iterator[list[str]]:
    """The texts of each line that are compared: of `rag` the answers alone.

    Raises:
        BadInput: A line is no JSON object, or has no text; names the file and the line.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise BadInput(f"{path.name} line {number} is not JSON: {error}; repair it") from None
            texts = _texts(row, kind) if isinstance(row, dict) else []
            if not texts:
                names = ", ".join(("messages", *_ASKED, *_ANSWERED))
                raise BadInput(f"{path.name} line {number} has no text; it needs a field of {names}")
            yield texts


def _texts(row: dict[str, Any], kind: Kind) -> list[str]:
    if row.get("messages"):
        roles = ("assistant",) if kind == "rag" else ("user", "assistant", "tool")
        return compared_json(row["messages"], roles)
    asked = [] if kind == "rag" else [row.get(name) for name in _ASKED]
    answered = [row.get(name) for name in _ANSWERED]
    texts = []
    for value in (*asked, *answered):
        messages = value.get("messages") if isinstance(value, dict) else value
        texts += compared_json(messages, ("user", "assistant", "tool"))
    return texts
