"""Texts that settings are written in: files of `KEY=value`, JSON in a value.

Belongs here: reading them. Not here: which settings there are (see settings.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def json_object(text: str) -> Any:
    """A JSON value; what is none stays the text, and pydantic then says that it is no mapping."""
    import json

    try:
        return json.loads(text)
    except ValueError:
        return text


def dotenv(path: Path | None) -> dict[str, str]:
    """The lines of a `.env` file; none where it is missing."""
    if path is None or not path.is_file():
        return {}
    from dotenv import dotenv_values

    return {k: v or "" for k, v in dotenv_values(path).items()}
