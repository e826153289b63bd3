"""The grammar of values: which text fits which type in full (docs/reference/csv.md).

Belongs here: patterns, the check of one value in Python, the same check as SQL, widening. Not here: reading files.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

_INTEGER = r"-?(?:0|[1-9][0-9]*)"
_DECIMAL = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
# The year 0000 would become 1 BC. RE2, the engine's patterns, cannot look ahead.
_YEAR = r"(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
_DATE = _YEAR + r"-[0-9]{2}-[0-9]{2}"
# 24:00 would become the next day.
_MINUTE, _SECOND = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", r":[0-5][0-9]"
_TIMESTAMP = rf"{_DATE}[ T]{_MINUTE}(?:{_SECOND}(?:\.[0-9]{{1,6}})?)?"
_CANONICAL_TIMESTAMP = "____-__-__ __:__:__%"
_TIME = rf"{_MINUTE}{_SECOND}(?:\.[0-9]{{0,5}}[1-9])?"
# Beyond these years nanoseconds do not fit 64 bits, and in those that fit in part the engine fails.
_YEAR_NS = r"(?:167[89]|16[89][0-9]|1[7-9][0-9]{2}|2[01][0-9]{2}|22[0-5][0-9]|226[01])"
_TIMESTAMP_NS = rf"{_YEAR_NS}-[0-9]{{2}}-[0-9]{{2}} {_MINUTE}{_SECOND}(?:\.[0-9]{{0,8}}[1-9])?"
_IS_INTEGER, _IS_DECIMAL, _IS_DATE, _IS_TIMESTAMP, _IS_TIME, _IS_TIMESTAMP_NS = (
    re.compile(p).fullmatch for p in (_INTEGER, _DECIMAL, _DATE, _TIMESTAMP, _TIME, _TIMESTAMP_NS)
)
_PLAIN_DECIMAL = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
# No whole number that any type holds is longer; of thousands of digits Python makes none.
_MOST_CHARACTERS = 40

_BITS = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64, "HUGEINT": 128}
_RANGES = {name: (-(2 ** (bits - 1)), 2 ** (bits - 1)) for name, bits in _BITS.items()} | {
    f"U{name}": (0, 2**bits) for name, bits in _BITS.items()
}
_DECIMAL_TYPE = re.compile(r"DECIMAL\((\d+),(\d+)\)")

# From the narrowest; a column takes the first that all its values fit.
TYPES = ("BOOLEAN", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP")


@dataclass(frozen=True, slots=True)
class _Floating:
    """A floating-point type: whole numbers up to 2^`whole_bits` and `digits` significant digits are held exactly.

    Plain decimals of up to `plain_characters` are surely among those.
    """

    whole_bits: int
    digits: int
    plain_characters: int


_FLOATING = {"DOUBLE": _Floating(53, 17, 15), "FLOAT": _Floating(24, 9, 7)}


def _is_whole(value: str, type_: str) -> bool:
    low, high = _RANGES[type_]
    is_integer = len(value) <= _MOST_CHARACTERS and _IS_INTEGER(value) is not None and value != "-0"
    return is_integer and low <= int(value) < high


def _is_floating(value: str, type_: str) -> bool:
    if _IS_DECIMAL(value) is None:
        return False
    bounds, number = _FLOATING[type_], _rounded(float(value), type_)
    if _IS_INTEGER(value):
        return value != "-0" and len(value) <= _MOST_CHARACTERS and abs(int(value)) <= 2**bounds.whole_bits
    mantissa = re.split("[eE]", value)[0].lstrip("-").replace(".", "").lstrip("0")
    # A number too small for the type would become zero, which is another number.
    return math.isfinite(number) and len(mantissa) <= bounds.digits and (number != 0 or mantissa == "")


def _rounded(number: float, type_: str) -> float:
    if type_ == "DOUBLE":
        return number
    try:
        return float(struct.unpack("f", struct.pack("f", number))[0])
    except OverflowError:
        return math.inf


def _is_boolean(value: str) -> bool:
    return value.lower() in ("true", "false")


def _is_date(value: str) -> bool:
    return _IS_DATE(value) is not None and _parses(date.fromisoformat, value)


def _is_timestamp(value: str) -> bool:
    return _IS_TIMESTAMP(value) is not None and _parses(datetime.fromisoformat, value)


def _is_timestamp_ns(value: str) -> bool:
    return _IS_TIMESTAMP_NS(value) is not None and _parses(datetime.fromisoformat, value[:19])


def _parses(parse: Callable[[str], object], value: str) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True


_CHECKS: dict[str, Callable[[str], bool]] = {
    "BOOLEAN": _is_boolean,
    "DATE": _is_date,
    "TIMESTAMP": _is_timestamp,
    "VARCHAR": lambda _: True,
    "TIME": lambda value: _IS_TIME(value) is not None,
    "TIMESTAMP_NS": _is_timestamp_ns,
    **{type_: partial(_is_floating, type_=type_) for type_ in _FLOATING},
    **{type_: partial(_is_whole, type_=type_) for type_ in _RANGES},
}


def fits(value: str, type_: str) -> bool:
    """True when a text is a value of the type in full; an empty text is null and fits every type.

    Values of types that are not `is_known`, which a dataset may have from a Parquet file, are let through here.
    """
    if value == "" or type_ in _CHECKS:
        return value == "" or _CHECKS[type_](value)
    decimal = _DECIMAL_TYPE.fullmatch(type_)
    if decimal:
        width, scale = int(decimal[1]), int(decimal[2])
        whole = re.fullmatch(_fixed_point(scale), value)
        return whole is not None and len(whole[1]) <= width - scale + (whole[1] == "0")
    return True


def is_known(type_: str) -> bool:
    """False for lists, bytes, times with a zone and others: only the engine knows their values (`sql_check`)."""
    return type_ in _CHECKS or _DECIMAL_TYPE.fullmatch(type_) is not None


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
    decimal = _DECIMAL_TYPE.fullmatch(type_)
    if decimal:
        return value, f"{_full(column, _fixed_point(int(decimal[2])))} AND {value} IS NOT NULL"
    if type_ in _FLOATING:
        return value, _floating_check(column, value, _FLOATING[type_])
    is_canonical = f"{value}::VARCHAR = {column}"
    conditions = {
        # `IN` says the same and is planned three times as long: for seconds, where a file has thousands of columns.
        "BOOLEAN": f"(lower({column}) = 'true' OR lower({column}) = 'false')",
        "DATE": f"{is_canonical} AND length({column}) = 10",
        "TIMESTAMP_NS": f"CASE WHEN {_full(column, _TIMESTAMP_NS)} THEN {value} IS NOT NULL ELSE false END",
        "TIME": f"{_full(column, _TIME)} AND {value} IS NOT NULL",
        # The form keeps out years of five digits and those before Christ, which read back as they were written, too.
        "TIMESTAMP": f"({is_canonical} AND {column} LIKE '{_CANONICAL_TIMESTAMP}')"
        f" OR ({_full(column, _TIMESTAMP)} AND {value} IS NOT NULL)",
    }
    return value, conditions.get(type_, is_canonical)


def _floating_check(column: str, value: str, bounds: _Floating) -> str:
    mantissa = f"ltrim(replace(ltrim(regexp_replace({column}, '[eE].*', ''), '-'), '.', ''), '0')"
    # The limit itself is compared as text: the number after it becomes the same when it is rounded.
    limit = 2**bounds.whole_bits
    is_small = f"({column} != '-0' AND abs({value}) < {limit} OR {column} IN ('{limit}', '-{limit}'))"
    is_exact = f"length({mantissa}) <= {bounds.digits} AND ({value} != 0 OR {mantissa} = '')"
    pattern = (
        f"({_full(column, _DECIMAL)} AND isfinite({value})"
        f" AND CASE WHEN {_full(column, _INTEGER)} THEN {is_small} ELSE {is_exact} END)"
    )
    # Short plain decimals are exact and finite, which is all that the long way would find out.
    is_short = f"strlen({column}) <= {bounds.plain_characters} AND {column} != '-0'"
    return f"({is_short} AND {_full(column, _PLAIN_DECIMAL)}) OR {pattern}"


def _full(column: str, pattern: str) -> str:
    # DuckDB's patterns are RE2's and know the same syntax.
    return f"regexp_full_match({column}, '{pattern}')"
