"""How values are written on pages: numbers, bytes, times, cells of any length.

Belongs here: filters of the templates. Not here: markup, which templates alone make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import orjson
from markupsafe import Markup

from lakehouse.control_characters import visible
from lakehouse.counted import counted

CELL_CHARACTERS = 240
_MOST_TURNS, _MOST_CHARACTERS = 100, 20_000
_KIB = 1024.0


def text_of(value: Any) -> str:
    """Any value as text; nested ones as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return moment_text(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()
    if not isinstance(value, dict | list | tuple):
        return str(value)
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def cell(value: Any) -> str:
    """A value as it stands in a table: cut where it is long, so that no row can freeze a page; none reads backwards."""
    text = text_of(value)
    end = "…" if len(text) > CELL_CHARACTERS else ""
    return visible(text[:CELL_CHARACTERS], keeps_lines=True) + end


def is_long(value: Any) -> bool:
    """True when `cell` cuts it."""
    return len(text_of(value)) > CELL_CHARACTERS


def number(value: Any) -> str:
    """A number with thousands apart; a fraction with four digits at the most."""
    if value is None:
        return "–"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{int(value):,}" if isinstance(value, int | float | Decimal) else str(value)


def size(value: int | None) -> str:
    """Bytes in the unit that reads best."""
    if value is None:
        return "–"
    left = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if left < _KIB:
            return f"{left:,.0f} {unit}" if unit == "B" else f"{left:,.1f} {unit}"
        left /= _KIB
    return f"{left:,.1f} TiB"


def moment_text(value: datetime | str | None) -> str:
    """A time in UTC, to the second; a text that is none stays as it is."""
    if value is None:
        return "–"
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return cell(value)
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return aware.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def utc_text(value: datetime | str | None) -> str:
    """The same where no heading says that it is UTC."""
    return "–" if value is None else f"{moment_text(value)} UTC"


def epoch_text(seconds: float) -> str:
    """Seconds since the epoch as a time in UTC."""
    return moment_text(datetime.fromtimestamp(seconds, UTC))


def pretty(value: Any) -> str:
    """A JSON document to read; text of one as bytes or str, or the values themselves."""
    if isinstance(value, bytes | str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return value if isinstance(value, str) else value.decode("utf-8", "replace")
    return orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()


def turns(text: str | None) -> list[tuple[str, str]]:
    """What a run was given or gave, as turns: (role, what was said); a text that is no list of messages is one turn."""
    try:
        messages = orjson.loads(text or "")
    except orjson.JSONDecodeError:
        messages = None
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        return [("", _bounded(text or ""))]
    made = [
        (cell(one.get("role")), _bounded(text_of(one.get("content")) or pretty(one.get("tool_calls"))))
        for one in messages[:_MOST_TURNS]
    ]
    left = len(messages) - len(made)
    return [*made, *([("", f"and {left:,} more")] if left else [])]


def _bounded(text: str) -> str:
    left = len(text) - _MOST_CHARACTERS
    shown = visible(text[:_MOST_CHARACTERS], keeps_lines=True)
    return shown if left <= 0 else f"{shown}\n… and {left:,} more characters"


def last_answer(text: str | None) -> str:
    """What a run answered in the end, as it is edited: its last message, or all of what is no list of messages."""
    try:
        messages = orjson.loads(text or "")
    except orjson.JSONDecodeError:
        return text or ""
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(last, dict) or last.get("role") != "assistant" or last.get("tool_calls"):
        return text or ""
    content = last.get("content")
    return content if isinstance(content, str) else text or ""


def json_text(value: Any) -> str:
    """A value as one line of JSON."""
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def query(fields: Mapping[str, Any]) -> str:
    """The query of an address; what is a list comes once for each element, what is None not at all."""
    return urlencode({name: value for name, value in fields.items() if value is not None}, doseq=True)


def pairs(fields: Sequence[tuple[str, str]]) -> str:
    """The query of an address, name by name."""
    return urlencode(fields)


def drawn(svg: str) -> Markup:
    """A chart as markup that templates do not escape. It comes from Vega only, which escapes all text of the data."""
    return Markup(svg)  # noqa: S704 - see above


FILTERS: dict[str, Callable[..., Any]] = {
    "cell": cell, "is_long": is_long, "number": number, "size": size, "moment": moment_text, "utc": utc_text,
    "epoch": epoch_text, "pretty": pretty, "text_of": text_of, "tojson_text": json_text, "turns": turns,
    "last_answer": last_answer, "query": query, "pairs": pairs, "drawn": drawn, "counted": counted,
}  # fmt: skip
