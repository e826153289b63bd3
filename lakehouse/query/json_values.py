"""SQL values as JSON, by the rules of CONTRACTS.md section 5.

Belongs here: one column of Arrow values to JSON values. Not here: fetching (see lakehouse/adapters/sql_worker.py).
"""

from __future__ import annotations

import base64
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

_EXACT = 2**53
_WIDE = ("BIGINT", "UBIGINT")
_PLAIN = ("VARCHAR", "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER", "UUID", "JSON")


def column_values(type_name: str, values: list[Any]) -> tuple[list[Any], str]:
    """One column's JSON values, and the JSON type they have (`number`, `string`, `boolean`, `json`).

    A BIGINT column with a value beyond ±2^53 becomes strings as a whole: many readers would round the number.
    """
    if type_name in _WIDE:
        if any(v is not None and abs(v) > _EXACT for v in values):
            return [None if v is None else str(v) for v in values], "string"
        return values, "number"
    if type_name == "BOOLEAN":
        return values, "boolean"
    if type_name in _PLAIN:
        return values, "string" if type_name in ("VARCHAR", "UUID", "JSON") else "number"
    if type_name in ("DOUBLE", "FLOAT"):
        return [v if v is None or math.isfinite(v) else _special(v) for v in values], "number"
    if type_name in ("HUGEINT", "UHUGEINT") or type_name.startswith("DECIMAL"):
        return [None if v is None else _decimal_text(v) for v in values], "string"
    is_nested = type_name.endswith("]") or type_name.startswith(("STRUCT", "MAP", "UNION"))
    return [json_value(v) for v in values], "json" if is_nested else "string"


def json_value(value: Any) -> Any:
    """Any value, nested ones included."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _EXACT else str(value)
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
    if isinstance(value, timedelta):
        return str(value)
    return _nested_value(value)


def _nested_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(k): json_value(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(v) for v in value]
    return str(value)


def _key(value: Any) -> str:
    plain = json_value(value)
    return plain if isinstance(plain, str) else str(plain)


def _decimal_text(value: Any) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
