"""Headers of a request by name, indexed once, as every layer of the API asks for some of them.

Belongs here: reading them. Not here: what headers mean (see middleware_door.py, middleware_context.py).
"""

from __future__ import annotations

from starlette.types import Scope

_SEEN = "lakehouse.headers"
_MOST_DIGITS = 100


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of a name, which is given in lower case; None when there is none."""
    return text_of(headers_of(scope).get(name))


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """All headers by name in lower case, the first of each."""
    seen: dict[bytes, bytes] | None = scope.get(_SEEN)
    if seen is None:
        seen = scope[_SEEN] = dict(reversed(scope["headers"]))
    return seen


def text_of(value: bytes | None) -> str | None:
    """A header's value as text; None when there is none."""
    return None if value is None else value.decode("latin-1")


def body_length(text: str | None) -> int | None:
    """The number in a Content-Length, which may have any number of zeros in front; None when there is none."""
    if text is None or not text.isdecimal():
        return None
    # Python refuses to parse thousands of digits; a number cut to so many is too large for any limit anyway.
    return int(text) if len(text) < _MOST_DIGITS else int(text.lstrip("0")[:_MOST_DIGITS] or "0")


def has_body(scope: Scope) -> bool:
    """Whether a request says that a body follows."""
    return header(scope, b"content-length") not in (None, "", "0") or header(scope, b"transfer-encoding") is not None
