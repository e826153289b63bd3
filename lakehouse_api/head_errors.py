"""The answers to a request whose head cannot be read or served, is too large, or does not end in time.

Belongs here: the refusals, before there is a request. Not here: when they are due (see http_protocol.py).
"""

from __future__ import annotations

from collections.abc import Sequence

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


class MethodNotImplemented(LakehouseError):
    """No route of this server could ever answer the method."""

    status = 501
    title = "Not implemented"


def check_head(method: bytes, version: str, headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Refuse a head that the parser has read and that nobody may answer.

    Args:
        method: The request's.
        version: Of HTTP.
        headers: By name in lower case, as they came.

    Raises:
        MethodNotImplemented: It asks for a tunnel.
        BadInput: It does not say once to which host it goes, so that a proxy before this server and the server itself
            could take it for requests to different ones.

    Source:
        RFC 9112, section 3.2; RFC 9110, section 9.3.6.
    """
    if method == b"CONNECT":
        raise MethodNotImplemented(
            "this server is no proxy, so CONNECT is not answered; send the request to it itself, and look at the"
            " client's proxy settings (HTTPS_PROXY)"
        )
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise BadInput(f"a request has one Host header, this one has {len(hosts)}; send it once")


def too_large() -> bytes:
    """The answer to a head that is too large."""
    detail = f"the request line and the headers have at most {MAX_HEAD_BYTES >> 10} KiB here"
    return _last_answer(HeadTooLarge(detail, max_bytes=MAX_HEAD_BYTES))


def no_http(data: bytes, error: Exception) -> bytes:
    """The answer to bytes that are not a request of HTTP/1.

    Args:
        data: As they came.
        error: What the parser said; its context is what `check_head` did.
    """
    if isinstance(error.__context__, LakehouseError):
        return _last_answer(error.__context__)
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
