"""Conditions and ranges of RFC 9110, as far as the storage routes honour them.

Belongs here: parsing of `Range`, `If-Range`, `If-Match` and `If-None-Match`. Not here: reading the bytes (see
spool.py).
"""

from __future__ import annotations

import re
from collections.abc import Container

from lakehouse.counted import counted
from lakehouse.errors import BadInput, LakehouseError

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", re.IGNORECASE)
_ETAG = re.compile(r'(?:W/)?"([^"]*)"')


class RangeNotSatisfiable(LakehouseError):
    """The range lies behind the end of the object."""

    status = 416
    title = "Range not satisfiable"


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte of a single range; None when the whole object is to be sent.

    Several ranges, other units and nonsense are ignored, as RFC 9110 section 14.2 has it.

    Raises:
        RangeNotSatisfiable: The range starts behind the end.
    """
    match = _RANGE.fullmatch(header) if header else None
    if match is None or match.group(1) == match.group(2) == "":
        return None
    if match[1] == "":
        wanted = int(match[2])
        first, last = max(0, size - wanted), size - 1
        is_satisfiable = wanted > 0 and size > 0
    else:
        first, last = int(match[1]), min(int(match[2]) if match[2] else size - 1, size - 1)
        if match[2] and int(match[2]) < first:
            return None
        is_satisfiable = first < size
    if not is_satisfiable:
        raise RangeNotSatisfiable(
            f"the object has {counted(size, 'byte')}; the range {header!r} lies behind them", size=size
        )
    return first, last


def is_unchanged(if_none_match: str | None, etag: str) -> bool:
    """True when the client has this very content (`If-None-Match`), and 304 will do."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag in _ETAG.findall(if_none_match)


def is_same(if_match: str | None, etag: str) -> bool:
    """False when the client wants another content than this one (`If-Match`): 412."""
    if if_match is None or if_match.strip() == "*":
        return True
    return f'"{etag}"' in re.findall(r'(?:W/)?"[^"]*"', if_match)


def is_range_wanted(if_range: str | None, etag: str) -> bool:
    """False when a client goes on with an older content (`If-Range`): it gets the whole of this one.

    A date is never strong enough here: an object may be replaced twice in a second.
    """
    return if_range is None or if_range.strip() == f'"{etag}"'


def parse_put_condition(if_match: str | None, if_none_match: str | None) -> tuple[str | None, bool]:
    """`(etag that must be there, whether nothing may be there)` of a PUT.

    Raises:
        BadInput: A condition of another form, which must not be dropped silently.
    """
    if if_match is not None and if_none_match is not None:
        raise BadInput("send If-Match or If-None-Match, not both")
    if if_none_match is not None:
        if if_none_match.strip() != "*":
            raise BadInput("a PUT takes 'If-None-Match: *' and no other form")
        return None, True
    if if_match is None:
        return None, False
    match = re.fullmatch(r'"([^"]+)"', if_match.strip())
    if match is None:
        raise BadInput("a PUT takes If-Match with one strong ETag in quotes")
    return match[1], False


def refuse_dates(headers: Container[str]) -> None:
    """Refuse a write under a condition that names a time, which must not be dropped silently.

    Args:
        headers: Names of the request's headers.

    Raises:
        BadInput: It has one.
    """
    if "if-unmodified-since" in headers:
        raise BadInput(
            "an object may be replaced twice in a second, so If-Unmodified-Since could not be kept; send If-Match with"
            " the ETag that you have read"
        )
