"""Bodies of JSON routes: whole in memory, and therefore small.

Belongs here: the cap for routes that do not stream. Not here: uploads (see routes/storage.py, routes/ingest.py).
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakehouse.errors import LakehouseError, TooLarge
from lakehouse_api.errors import problem_response
from lakehouse_api.limits import IDLE_TIMEOUT_S, BodyPace, BodyTimeout
from lakehouse_api.receiving import receive_at_pace
from lakehouse_api.request_headers import body_length, has_body, header

MAX_JSON_BYTES = 1 << 20
# Routes that take lists of texts, or long ones.
LARGER_BYTES = {("POST", path): 8 << 20 for path in ("/v1/embed", "/v1/embeddings", "/v1/chat", "/v1/chat/completions")}
# Vectors are large: a thousand of 384 dimensions have some 8 MiB as JSON, and 1.5 MiB as Arrow.
VECTORS, ADD, MAX_VECTORS_BYTES = "/v1/vectors/index/", "/add", 64 << 20
# These take their body as a stream and have caps of their own.
STREAMING = (("PUT", "/v1/storage/"), ("POST", "/v1/ingest"), ("POST", "/ui/datasets/upload"))


class UnsupportedEncoding(LakehouseError):
    """The body is compressed."""

    status = 415
    title = "Unsupported media type"


class BodyLimitMiddleware:
    """Reads the body before the route does; refuses one past the cap with 413, one that is compressed with 415."""

    def __init__(
        self, app: ASGIApp, *, max_bytes: int = MAX_JSON_BYTES, idle_timeout_s: float = IDLE_TIMEOUT_S
    ) -> None:
        self._app = app
        self._idle_timeout_s = idle_timeout_s
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_streaming(scope):
            await self._app(scope, receive, send)
            return
        max_bytes = max(self._max_bytes, _larger_bytes(scope))
        if (body_length(header(scope, b"content-length")) or 0) > max_bytes:
            await _refuse(max_bytes, scope, receive, send)
            return
        if not has_body(scope):
            await self._app(scope, receive, send)
            return
        encoding = header(scope, b"content-encoding")
        if encoding is not None and encoding.strip().lower() not in ("", "identity"):
            await _refuse_encoding(encoding, scope, receive, send)
            return
        messages: list[Message] = []
        size, pace = 0, BodyPace(self._idle_timeout_s)
        while not messages or messages[-1].get("more_body", False):
            try:
                messages.append(await receive_at_pace(receive, pace))
            except BodyTimeout as error:
                await problem_response(error, scope)(scope, receive, send)
                return
            size += len(messages[-1].get("body", b""))
            if size > max_bytes:
                await _refuse(max_bytes, scope, receive, send)
                return

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, replay, send)


def _larger_bytes(scope: Scope) -> int:
    path = _path(scope)
    if path.startswith(VECTORS) and path.endswith(ADD) and scope["method"] == "POST":
        return MAX_VECTORS_BYTES
    return LARGER_BYTES.get((scope["method"], path), 0)


async def _refuse(max_bytes: int, scope: Scope, receive: Receive, send: Send) -> None:
    error = TooLarge(f"a JSON body has at most {max_bytes} bytes here", max_bytes=max_bytes)
    await problem_response(error, scope)(scope, receive, send)


async def _refuse_encoding(encoding: str, scope: Scope, receive: Receive, send: Send) -> None:
    error = UnsupportedEncoding(
        f"the body is compressed (Content-Encoding: {encoding[:40]}), and compressed bodies are not read;"
        " send it plain, without that header"
    )
    response = problem_response(error, scope)
    response.headers["Accept-Encoding"] = "identity"  # RFC 9110, section 15.5.16
    await response(scope, receive, send)


def _is_streaming(scope: Scope) -> bool:
    path = _path(scope)
    return any(scope["method"] == method and path.startswith(prefix) for method, prefix in STREAMING)


def _path(scope: Scope) -> str:
    """The path without the sub-path, which a proxy may have left there."""
    root: str = scope.get("root_path", "")
    path: str = scope["path"]
    return path.removeprefix(root) if root and path.startswith(f"{root}/") else path
