"""The answers to a client whose request line and headers are too large, or do not come to an end in time.

Belongs here: the two refusals, before there is a request. Not here: when they are due (see http_protocol.py).
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from lakehouse.clock import new_id
from lakehouse.errors import LakehouseError
from lakehouse_api.errors import problem_response

MAX_HEAD_BYTES = 64 << 10


class HeadTooLarge(LakehouseError):
    """The request line and the headers are larger than allowed."""

    status = 431
    title = "Request header fields too large"


class HeadTimeout(LakehouseError):
    """The request line and the headers did not come to an end."""

    status = 408
    title = "Request timeout"


def too_large() -> bytes:
    """The answer to a head that is too large."""
    detail = f"the request line and the headers have at most {MAX_HEAD_BYTES >> 10} KiB here"
    return _last_answer(HeadTooLarge(detail, max_bytes=MAX_HEAD_BYTES))


def too_late(head_s: float) -> bytes:
    """The answer to a head that has not ended after so many seconds."""
    detail = f"the request line and the headers did not come within {head_s:g} s; send the request again"
    return _last_answer(HeadTimeout(detail))


def _last_answer(error: LakehouseError) -> bytes:
    request_id = new_id()
    response = problem_response(error, {"state": {"request_id": request_id}})
    headers = [*response.raw_headers, (b"x-request-id", request_id.encode()), (b"connection", b"close")]
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return STATUS_LINE[error.status] + lines + b"\r\n" + bytes(response.body)
