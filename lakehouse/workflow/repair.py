"""JSON as models write it: what can be repaired without guessing, and what was.

Repaired are a fence or prose around the JSON, single quotes, line breaks in texts, commas before a bracket, and
Python's `True`, `False`, `None`. Nothing is completed: an answer that was cut is no answer.

Belongs here: text to a value. Not here: whether the value is what was asked for (see structured.py).
"""

from __future__ import annotations

import re
from typing import Any

import orjson

MAX_CHARACTERS = 256 << 10
_LITERALS = {"True": "true", "False": "false", "None": "null"}
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BEFORE_CLOSE = re.compile(r"\s*[}\]]")
_ENDS = {"{": "}", "[": "]"}
_ESCAPED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def read_json(text: str) -> tuple[Any, list[str]]:
    """A value, and the names of what had to be repaired, each once.

    Raises:
        ValueError: It cannot be read; nothing was guessed.
    """
    if len(text) > MAX_CHARACTERS:
        problem = f"has more than {MAX_CHARACTERS >> 10} KiB"
        raise ValueError(problem)
    try:
        return orjson.loads(text), []
    except orjson.JSONDecodeError:
        pass
    begin = min((place for place in (text.find("{"), text.find("[")) if place >= 0), default=-1)
    if begin < 0:
        problem = "holds no JSON"
        raise ValueError(problem)
    mended, end, repairs = _mended(text, begin)
    around = text[:begin] + text[end:]
    if around.strip():
        repairs.insert(0, "fence" if "```" in around else "prose")
    try:
        return orjson.loads(mended), list(dict.fromkeys(repairs))
    except orjson.JSONDecodeError as error:
        problem = f"is not JSON: {error}"
        raise ValueError(problem) from None


def _mended(text: str, begin: int) -> tuple[str, int, list[str]]:
    """From the first bracket to the one that closes it."""
    parts: list[str] = []
    repairs: list[str] = []
    open_: list[str] = []
    place = begin
    while place < len(text):
        sign = text[place]
        if sign in "\"'":
            said, place = _text(text, place, repairs)
            parts.append(said)
            continue
        word = _WORD.match(text, place)
        if word is not None:
            repairs += ["literal"] if word[0] in _LITERALS else []
            parts.append(_LITERALS.get(word[0], word[0]))
            place = word.end()
            continue
        place += 1
        if sign == "," and _BEFORE_CLOSE.match(text, place):
            repairs.append("comma")
            continue
        parts.append(sign)
        if sign in _ENDS:
            open_.append(_ENDS[sign])
        elif sign in "}]":
            if not open_ or open_.pop() != sign:
                break
            if not open_:
                return "".join(parts), place, repairs
    problem = "is not JSON: a bracket is not closed"
    raise ValueError(problem)


def _text(text: str, begin: int, repairs: list[str]) -> tuple[str, int]:
    """A text as JSON writes it, from its first quote; and the place behind its last."""
    quote = text[begin]
    if quote == "'":
        repairs.append("quotes")
    parts = ['"']
    place = begin + 1
    while place < len(text):
        sign = text[place]
        if sign == "\\":
            pair = text[place : place + 2]
            parts.append("'" if pair == "\\'" else pair)
            place += 2
            continue
        if sign == quote:
            return "".join([*parts, '"']), place + 1
        if sign in _ESCAPED:
            repairs.append("line break")
        parts.append(_ESCAPED.get(sign, '\\"' if sign == '"' else sign))
        place += 1
    problem = "is not JSON: a text is not closed"
    raise ValueError(problem)
