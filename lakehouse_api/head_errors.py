"""The answers to a client whose request line and headers cannot be read, are too large, or do not end in time.

Belongs here: the refusals, before there is a request. Not here: when they are due (see http_protocol.py).
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from lakehouse.clock import new_id
from lakehouse.errors import BadInput, LakehouseError
from lakehouse_api.errors import problem_response

MAX_HEAD_BYTES = 64 << 10
_TLS_HANDSHAKE = b"\x16\x03"
_HTTP_2 = b"PRI * HTTP/2"


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


def no_http(data: bytes, error: Exception) -> bytes:
    """The answer to bytes that are not a request of HTTP/1.

    Args:
        data: As they came.
        error: What the parser said.
    """
    if data.startswith(_TLS_HANDSHAKE):
        told = "TLS is not spoken here; send the request to http://, or to the proxy that speaks https://"
    elif data.startswith(_HTTP_2):
        told = "only HTTP/1 is spoken here; switch off HTTP/2 without TLS (prior knowledge) in the client"
    else:
        told = f"the request is not HTTP/1 ({error}); its Content-Length has to be that of its body"
    return _last_answer(BadInput(told))


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
