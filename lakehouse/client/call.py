"""A call of the API as a value: what is sent, how its answer is read, whether it may be made twice.

Belongs here: `Call`, its kinds of body. Not here: the calls themselves (see data_calls.py, retrieval_calls.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

T_co = TypeVar("T_co", covariant=True)
JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"


@dataclass(frozen=True, slots=True)
class Call(Generic[T_co]):
    """One request.

    Args:
        method: HTTP method.
        path: Below the client's URL, percent-encoded.
        read: Makes the result of the answer's body.
        params: Query parameters.
        body: Bytes that are sent, of the type `content_type`.
        content_type: Of `body`.
        file: Sent as the multipart field `file` instead of a body, as it is read from disk.
        is_repeatable: The state after two of it is that after one, so it may be tried again.
        has_deadline: False: the answer comes after work that may take any time.
        accepted: Statuses beyond 2xx whose answer is a result and no problem.
    """

    method: str
    path: str
    read: Callable[[bytes], T_co]
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = JSON
    file: Path | None = None
    is_repeatable: bool = True
    has_deadline: bool = True
    accepted: frozenset[int] = frozenset()


def path_of(*parts: str) -> str:
    """A path of components, each encoded, so that none of them can name another route."""
    return "/".join(("", *(quote(part, safe="") for part in parts)))


def encode(**fields: Any) -> bytes:
    """A JSON body of the fields that were given; None leaves one out."""
    given = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(given, default=_plain, allow_nan=False).encode()


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


def _word(value: Any) -> str:
    if value is True:
        return "true"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _plain(value: Any) -> Any:
    """What JSON has no form for: times, and vectors of numpy."""
    if isinstance(value, datetime):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return value.tolist()
    what = f"a value of type {type(value).__name__} has no JSON form"
    raise TypeError(what)
