"""The client's errors.

    ClientError
    ├── LakehouseApiError            the API refused, or failed; its problem document
    ├── LakehouseConnectionError     no API answered, or the connection broke
    └── LakehouseInputError          what was given cannot be sent; nothing was

Belongs here: the types, reading a problem document. Not here: which calls are tried again (see retry.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any


class ClientError(Exception):
    """Base of what the client raises."""


class LakehouseApiError(ClientError):
    """The API refused a call or failed at it.

    Args:
        status: The HTTP status.
        title: The kind of error.
        detail: What is wrong and what to do next.
        request_id: Under which the API's logs know the request; "" when something before the API answered.
        fields: Further members of the problem document, such as `record` and `line` of a file that was refused.
        retry_after_s: When to come back, in seconds; None when the API does not say.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        request_id: str = "",
        *,
        fields: Mapping[str, Any] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail
        self.request_id = request_id
        self.fields = dict(fields or {})
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[Any, ...]:
        make = partial(LakehouseApiError, fields=self.fields, retry_after_s=self.retry_after_s)
        return make, (self.status, self.title, self.detail, self.request_id)


class LakehouseConnectionError(ClientError):
    """No API answered in time, or the connection broke before the answer was whole."""


class LakehouseInputError(ClientError, ValueError):
    """An argument cannot be sent; the message names the field in it."""


def read_problem(status: int, reason: str, body: bytes, *, retry_after_s: float | None = None) -> LakehouseApiError:
    """The error of an answer; without a problem document, as in a proxy's page, it has the status and its reason.

    Source: RFC 9457.
    """
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    known = ("type", "status", "title", "detail", "instance", "request_id")
    return LakehouseApiError(
        status,
        str(problem.get("title") or reason or "Error"),
        str(problem.get("detail") or "the answer says no more"),
        str(problem.get("request_id") or ""),
        fields={name: value for name, value in problem.items() if name not in known},
        retry_after_s=retry_after_s,
    )
