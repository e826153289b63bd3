"""The content of a trace as it is given to a command: an argument, a file or stdin, a text or JSON.

Belongs here: reading it, the request that carries it. Not here: options (see pathway_commands.py), what may be
remembered (see lakehouse/pathway/content.py).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

import typer

_BEGINS_JSON = ("{", "[", '"')


def content_json(content: str | None, file: str, *, is_text: bool) -> str:
    """The content as a JSON document, numbers as they were written.

    Args:
        content: The argument; None or `-`: stdin.
        file: Path of a file that holds it, `-` is stdin, "" for none.
        is_text: It is a text, whatever it begins with.

    Raises:
        typer.BadParameter: Both were given, the file cannot be read, or what looks like JSON is none.
    """
    if content is not None and file:
        raise typer.BadParameter("give the content as an argument or with --file, not both", param_hint="--file")
    where = "--file" if file else "CONTENT"
    # The line break at the end of a file is not part of the text.
    given = _read(file or "-", where).rstrip("\r\n") if content is None or content == "-" else content
    if is_text or not given.lstrip().startswith(_BEGINS_JSON):
        return json.dumps(given)
    try:
        json.loads(given, parse_constant=_refuse)
        given.encode()
    except (ValueError, RecursionError) as error:
        hint = f"begins like JSON and is none: {error} (--text takes it as a text)"
        raise typer.BadParameter(hint, param_hint=where) from None
    return given


def request_body(content: str, **fields: Any) -> bytes:
    """A JSON body with this document as `content` and the fields that are not None."""
    rest = json.dumps({name: value for name, value in fields.items() if value is not None})
    return f'{{"content":{content}{"," if len(rest) > 2 else ""}{rest[1:]}'.encode()


def _read(file: str, where: str) -> str:
    if file != "-" and not Path(file).is_file():
        raise typer.BadParameter(f"{file!r} is not a file", param_hint=where)
    raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise typer.BadParameter("is not UTF-8", param_hint=where) from None


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")
