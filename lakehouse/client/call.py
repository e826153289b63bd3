"""A call of the API as a value: what is sent, how its answer is read, whether it may be made twice.

Belongs here: `Call`, its kinds of body. Not here: the calls themselves (see data_calls.py, retrieval_calls.py).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from lakehouse.client.problems import LakehouseInputError

T_co = TypeVar("T_co", covariant=True)
JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"
# Unencoded dot segments are resolved by clients and proxies, and would lead to another route.
_DOTS = {".": "%2E", "..": "%2E%2E"}


@dataclass(frozen=True, slots=True)
class Call(Generic[T_co]):
    """One request.

    Args:
        method: HTTP method.
        path: Below the client's URL, percent-encoded.
        read: Makes the result from the answer's body.
        params: Query parameters.
        body: Bytes that are sent, of the type `content_type`.
        content_type: Of `body`.
        file: Sent instead of a body, as it is read from disk.
        is_form: The file is the multipart field `file`; False: its bytes are the whole body.
        headers: Request headers of this call.
        read_headers: Makes the result from the answer's headers, when there is no body or it goes to a file.
        is_repeatable: Whether it may be tried again: made twice it leaves the same state as made once, apart from
            counts of repetitions.
        has_deadline: False when the answer comes after work that may take any time.
        accepted: Statuses beyond 2xx whose answer is a result and no problem.
    """

    method: str
    path: str
    read: Callable[[bytes], T_co]
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = JSON
    file: Path | None = None
    is_form: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    read_headers: Callable[[Mapping[str, str]], T_co] | None = None
    is_repeatable: bool = True
    has_deadline: bool = True
    accepted: frozenset[int] = frozenset()


def path_of(*parts: str) -> str:
    """A path of components, each encoded, so that none of them can name another route.

    Raises:
        LakehouseInputError: One has no form in UTF-8.
    """
    try:
        return "/".join(("", *(_DOTS.get(part) or quote(part, safe="") for part in parts)))
    except UnicodeEncodeError:
        shown = next(part for part in parts if not _is_utf8(part))
        raise LakehouseInputError(f"{shown!r} cannot be sent: it has no form in UTF-8") from None


def encode(**fields: Any) -> bytes:
    """A JSON body of the fields that were given; None leaves one out.

    Raises:
        LakehouseInputError: Naming the first number that is not finite.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return json.dumps(given, default=_plain, allow_nan=False).encode()
    except ValueError as error:
        field = next(_not_finite(given, ""), None)
        reason = str(error) if field is None else f"{field} must be a finite number: JSON has no form for others"
        raise LakehouseInputError(reason) from None


def listed(values: str | Iterable[str]) -> list[str]:
    """Texts as a list; a single text becomes a list of one, not of its letters."""
    return [values] if isinstance(values, str) else list(values)


def query_of(**fields: Any) -> dict[str, str]:
    """Query parameters that were given; None and False leave one out."""
    given = {name: value for name, value in fields.items() if value is not None and value is not False}
    return {name: _word(value) for name, value in given.items()}


def read_json(body: bytes) -> Any:
    """The answer's JSON."""
    return json.loads(body)


def member(name: str) -> Callable[[bytes], Any]:
    """One member of the answer's JSON."""
    return lambda body: json.loads(body)[name]


def nothing(_: bytes) -> None:
    """No result."""


def _is_utf8(text: str) -> bool:
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in text)


def _word(value: Any) -> str:
    if value is True:
        return "true"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _not_finite(value: Any, path: str) -> Iterator[str]:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        yield path
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from _not_finite(one, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        for position, one in enumerate(value):
            yield from _not_finite(one, f"{path}[{position}]")


def _plain(value: Any) -> Any:
    """The JSON form of values that `json` does not know: times, and numpy arrays."""
    if isinstance(value, datetime):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return value.tolist()
    what = f"a value of type {type(value).__name__} has no JSON form"
    raise TypeError(what)
