"""SQL values as JSON, by the rules of CONTRACTS.md section 5.

Belongs here: one column of values to JSON values. Not here: fetching (see lakehouse/adapters/sql_worker.py), gathering
(see json_rows.py).
"""

from __future__ import annotations

import base64
import math
import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any, Protocol

import orjson

_EXACT = 2**53
_WIDE = ("BIGINT", "UBIGINT")
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER")
_FLOATS = ("DOUBLE", "FLOAT")
_LARGE = re.compile(r"U?HUGEINT|BIGNUM|DECIMAL\(\d+,\d+\)")
_NESTED = re.compile(r".*\]|(STRUCT|MAP|UNION)\(.*", re.DOTALL)
# Python's own types hold less than these: they are fetched as the engine's text (see `fetched_as_text`).
_AS_TEXT = re.compile(r"DATE|TIME(STAMP)?( WITH TIME ZONE|_S|_MS|_NS)?|INTERVAL|BIT|VARIANT")
_BEFORE_CHRIST = re.compile(r"(\d+)(-\d\d-\d\d) \(BC\)(.*)", re.DOTALL)
_FIVE_DIGITS = re.compile(r"\d{5,}-")


class SqlType(Protocol):
    """A type of the engine as its Python module describes it."""

    @property
    def id(self) -> str: ...

    @property
    def children(self) -> list[tuple[str, Any]]: ...


def fetched_as_text(type_name: str) -> bool:
    """True for types that Python would bend: infinite dates, months of an interval, nanoseconds, far years."""
    return _AS_TEXT.fullmatch(type_name) is not None


def column_values(type_name: str, values: list[Any], type_: SqlType | None = None) -> tuple[list[Any], str]:
    """One column's JSON values, and the JSON type they have (`number`, `string`, `boolean`, `json`).

    A BIGINT column with a value beyond ±2^53 becomes strings as a whole: many readers would round the number.

    Args:
        type_name: Its DuckDB type.
        values: What the engine gave; for `fetched_as_text` types its text.
        type_: The same type with its parts, for nested ones.
    """
    if type_name in _WIDE:
        if any(v is not None and abs(v) > _EXACT for v in values):
            return [None if v is None else str(v) for v in values], "string"
        return values, "number"
    if type_name == "BOOLEAN":
        return values, "boolean"
    if type_name in _NUMBERS:
        return values, "number"
    if type_name in _FLOATS:
        return [v if v is None or math.isfinite(v) else _special(v) for v in values], "number"
    if type_name == "VARCHAR":
        return values, "string"
    if _LARGE.fullmatch(type_name):
        return [None if v is None else _decimal_text(v) for v in values], "string"
    if fetched_as_text(type_name):
        return [None if v is None else iso_text(str(v)) for v in values], "string"
    if _NESTED.fullmatch(type_name):
        return [json_value(v, type_) for v in values], "json"
    return [v if v is None or isinstance(v, str) else str(json_value(v)) for v in values], "string"


@lru_cache
def json_form(type_name: str) -> str:
    """The JSON type of a column without values, which those that come may change to `string`."""
    return column_values(type_name, [])[1]


def iso_text(text: str) -> str:
    """A date or time in DuckDB's text as ISO 8601, UTC as Z; years before 1 and after 9999 have a sign."""
    before_christ = _BEFORE_CHRIST.fullmatch(text)
    if before_christ is not None:
        text = f"-{int(before_christ[1]) - 1:04d}{before_christ[2]}{before_christ[3]}"
    elif _FIVE_DIGITS.match(text):
        text = f"+{text}"
    if re.match(r"[+-]?\d{4,}-\d\d-\d\d \d", text):
        text = text.replace(" ", "T", 1)
        text = f"{text[:-3]}Z" if text.endswith("+00") else text
    return text


def json_value(value: Any, type_: SqlType | None = None) -> Any:
    """Any value, nested ones included; `type_` tells numbers apart that Python does not."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        is_large = type_ is not None and type_.id in ("hugeint", "uhugeint", "bignum")
        return str(value) if is_large or abs(value) > _EXACT else value
    if isinstance(value, float):
        return value if math.isfinite(value) else _special(value)
    if isinstance(value, Decimal):
        return _decimal_text(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value.tzinfo else value.isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    return _nested_value(value, type_)


def _nested_value(value: Any, type_: SqlType | None) -> Any:
    kind = type_.id if type_ is not None else ""
    parts = dict(type_.children) if type_ is not None and kind in ("list", "array", "struct", "map") else {}
    if kind == "map" and isinstance(value, dict):
        pairs = value.items() if set(value) != {"key", "value"} or not _is_split(value) else _joined(value)
        return {_key(k, parts.get("key")): json_value(v, parts.get("value")) for k, v in pairs}
    if isinstance(value, dict):
        return {str(k): json_value(v, parts.get(k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(v, parts.get("child")) for v in value]
    return str(value)


def _is_split(value: dict[str, Any]) -> bool:
    """A map whose keys Python cannot hash comes as a list of keys and one of values."""
    return isinstance(value["key"], list) and isinstance(value["value"], list)


def _joined(value: dict[str, Any]) -> list[tuple[Any, Any]]:
    return list(zip(value["key"], value["value"], strict=True))


def _key(value: Any, type_: SqlType | None) -> str:
    plain = json_value(value, type_)
    return plain if isinstance(plain, str) else orjson.dumps(plain).decode()


def _decimal_text(value: Any) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
