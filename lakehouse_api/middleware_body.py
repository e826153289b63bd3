"""Bodies of JSON routes: whole in memory, and therefore small.

Belongs here: the cap for routes that do not stream. Not here: uploads (see routes/storage.py, routes/ingest.py).
"""

from __future__ import annotations

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakehouse.errors import TooLarge
from lakehouse_api.errors import problem_response
from lakehouse_api.limits import IDLE_TIMEOUT_S, body_timeout

MAX_JSON_BYTES = 1 << 20
# These take their body as a stream and have caps of their own.
STREAMING = (("PUT", "/v1/storage/"), ("POST", "/v1/ingest"))


class BodyLimitMiddleware:
    """Reads the body before the route does and refuses one past the cap with 413."""

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
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._max_bytes:
            await self._refuse(scope, receive, send)
            return
        if length in ("", "0") and "transfer-encoding" not in headers:
            await self._app(scope, receive, send)
            return
        messages: list[Message] = []
        size = 0
        while not messages or messages[-1].get("more_body", False):
            try:
                with anyio.fail_after(self._idle_timeout_s):
                    messages.append(await receive())
            except TimeoutError:
                await problem_response(body_timeout(self._idle_timeout_s), scope)(scope, receive, send)
                return
            size += len(messages[-1].get("body", b""))
            if size > self._max_bytes:
                await self._refuse(scope, receive, send)
                return

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, replay, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = TooLarge(f"a JSON body has at most {self._max_bytes} bytes here", max_bytes=self._max_bytes)
        await problem_response(error, scope)(scope, receive, send)


def _is_streaming(scope: Scope) -> bool:
    root: str = scope.get("root_path", "")
    path: str = scope["path"]
    if root and path.startswith(f"{root}/"):
        path = path.removeprefix(root)
    return any(scope["method"] == method and path.startswith(prefix) for method, prefix in STREAMING)
