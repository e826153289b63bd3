"""The grammar of values: which text fits which type in full (docs/reference/csv.md).

Belongs here: patterns, the check of one value in Python, the same check as SQL, widening. Not here: reading files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime

_INTEGER = r"-?(?:0|[1-9][0-9]*)"
_DECIMAL = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIMESTAMP = _DATE + r"[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
_PATTERNS = {name: re.compile(p) for name, p in (("i", _INTEGER), ("f", _DECIMAL), ("d", _DATE), ("t", _TIMESTAMP))}
_EXACT_INTEGER = 2**53
_EXACT_DIGITS = 17
_PLAIN_DECIMAL = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
_PLAIN_CHARACTERS = 15

_BITS = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "HUGEINT": 128}
_RANGES = {name: (-(2 ** (bits - 1)), 2 ** (bits - 1)) for name, bits in _BITS.items()} | {
    f"U{name}": (0, 2**bits) for name, bits in {**_BITS, "BIGINT": 64}.items()
}
_DECIMAL_TYPE = re.compile(r"DECIMAL\((\d+),(\d+)\)")

# From the narrowest; a column takes the first that all its values fit.
TYPES = ("BOOLEAN", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP")


def _is_bigint(value: str) -> bool:
    return _PATTERNS["i"].fullmatch(value) is not None and value != "-0" and -(2**63) <= int(value) < 2**63


def _is_double(value: str) -> bool:
    if _PATTERNS["f"].fullmatch(value) is None or not math.isfinite(float(value)):
        return False
    if _PATTERNS["i"].fullmatch(value):
        return value != "-0" and abs(int(value)) <= _EXACT_INTEGER
    mantissa = re.split("[eE]", value)[0].lstrip("-").replace(".", "").lstrip("0")
    # A number too small for a double would become zero, which is another number.
    return len(mantissa) <= _EXACT_DIGITS and (float(value) != 0 or mantissa == "")


def _is_boolean(value: str) -> bool:
    return value.lower() in ("true", "false")


def _is_date(value: str) -> bool:
    return _PATTERNS["d"].fullmatch(value) is not None and _parses(date.fromisoformat, value)


def _is_timestamp(value: str) -> bool:
    return _PATTERNS["t"].fullmatch(value) is not None and _parses(datetime.fromisoformat, value)


def _parses(parse: Callable[[str], object], value: str) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True


_CHECKS: dict[str, Callable[[str], bool]] = {
    "BOOLEAN": _is_boolean,
    "BIGINT": _is_bigint,
    "DOUBLE": _is_double,
    "DATE": _is_date,
    "TIMESTAMP": _is_timestamp,
    "VARCHAR": lambda _: True,
}


def fits(value: str, type_: str) -> bool:
    """True when a text is a value of the type in full; an empty text is null and fits every type.

    Datasets from Parquet have other types than `TYPES`; those that are no number are let through here.
    """
    if value == "" or type_ in _CHECKS:
        return value == "" or _CHECKS[type_](value)
    if type_ in _RANGES:
        low, high = _RANGES[type_]
        return _PATTERNS["i"].fullmatch(value) is not None and value != "-0" and low <= int(value) < high
    decimal = _DECIMAL_TYPE.fullmatch(type_)
    if decimal:
        width, scale = int(decimal[1]), int(decimal[2])
        whole = re.fullmatch(_fixed_point(scale), value)
        return whole is not None and len(whole[1]) <= width - scale + (whole[1] == "0")
    return True


def _fixed_point(scale: int) -> str:
    fraction = rf"(?:\.[0-9]{{1,{scale}}})?" if scale else ""
    return rf"-?(0|[1-9][0-9]*){fraction}"


def narrowest_type(values: Iterable[str]) -> str | None:
    """The first of `TYPES` that all values fit, `VARCHAR` when none is, None when all are empty."""
    filled = [v for v in values if v != ""]
    if not filled:
        return None
    return next((t for t in TYPES if all(_CHECKS[t](v) for v in filled)), "VARCHAR")


def widen(first: str, second: str) -> str:
    """The narrowest type of the ladder that holds values of both."""
    if first == second:
        return first
    return "DOUBLE" if {first, second} == {"BIGINT", "DOUBLE"} else "VARCHAR"


def sql_check(column: str, type_: str) -> tuple[str, str]:
    """The value of a text column as the type, and the condition that it fits, as DuckDB SQL.

    Args:
        column: A quoted identifier of a VARCHAR column.
        type_: One of `TYPES`, or the type of a Parquet column.

    The cheap condition that accepts nearly all values stands first; only others pay for the full one.
    """
    value = f"TRY_CAST({column} AS {type_})"
    # DuckDB's patterns are RE2's and know the same syntax.
    full = f"regexp_full_match({column}, '{{}}')"
    if type_ == "BOOLEAN":
        return value, f"lower({column}) IN ('true', 'false')"
    decimal = _DECIMAL_TYPE.fullmatch(type_)
    if decimal:
        return value, f"{full.format(_fixed_point(int(decimal[2])))} AND {value} IS NOT NULL"
    if type_ == "FLOAT":
        return value, f"{full.format(_DECIMAL)} AND isfinite({value})"
    if type_ == "BIGINT" or type_ not in TYPES:
        return value, f"{value}::VARCHAR = {column}"
    if type_ == "DATE":
        return value, f"{value}::VARCHAR = {column} AND length({column}) = 10"
    if type_ == "TIMESTAMP":
        canonical = f"({value}::VARCHAR = {column} AND length({column}) >= 19)"
        return value, f"{canonical} OR ({full.format(_TIMESTAMP)} AND {value} IS NOT NULL)"
    mantissa = f"ltrim(replace(ltrim(regexp_replace({column}, '[eE].*', ''), '-'), '.', ''), '0')"
    is_small = f"{column} != '-0' AND abs({value}) <= {_EXACT_INTEGER}"
    is_exact = f"length({mantissa}) <= {_EXACT_DIGITS} AND ({value} != 0 OR {mantissa} = '')"
    whole = full.format(_INTEGER)
    pattern = (
        f"({full.format(_DECIMAL)} AND isfinite({value}) AND CASE WHEN {whole} THEN {is_small} ELSE {is_exact} END)"
    )
    # Up to 15 characters a plain decimal is exact and finite, which is all that the long way would find out.
    plain = f"(strlen({column}) <= {_PLAIN_CHARACTERS} AND {column} != '-0' AND {full.format(_PLAIN_DECIMAL)})"
    return value, f"{plain} OR {pattern}"
