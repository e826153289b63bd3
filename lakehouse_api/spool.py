"""Bodies on their way to the store, and objects on their way to the client: streams of flat memory.

Belongs here: spooling to disk with a cap, streaming from the store. Not here: which route does so (see routes/).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from pathlib import Path

import anyio
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from lakehouse.clock import new_id
from lakehouse.errors import BadInput, InsufficientStorage, TooLarge
from lakehouse.storage.objects import ObjectReader
from lakehouse_api.dependencies import run_blocking
from lakehouse_api.limits import IDLE_TIMEOUT_S, BodyPace
from lakehouse_api.request_headers import body_length
from lakehouse_api.services import Services

_BUFFER_BYTES = 1 << 20


def check_length(request: Request, cap_bytes: int, what: str, *, form_bytes: int = 0) -> None:
    """Refuse by the declared length, before a byte is read; `form_bytes` may come on top of the content.

    Raises:
        TooLarge: `Content-Length` is over the cap.
        BadInput: It is no number.
    """
    told = request.headers.get("content-length")
    if told is None:
        return
    length = body_length(told)
    if length is None:
        raise BadInput(f"Content-Length {told[:40]!r} is not a number")
    if length > cap_bytes + form_bytes:
        raise TooLarge(f"{what} has at most {cap_bytes} bytes here, this one has {length}", max_bytes=cap_bytes)


async def body_chunks(request: Request, *, idle_timeout_s: float = IDLE_TIMEOUT_S) -> AsyncIterator[bytes]:
    """The body as it comes in.

    Raises:
        BodyTimeout: It comes too slowly (see `BodyPace`).
        ClientDisconnect: The client went away.
    """
    stream, pace = request.stream(), BodyPace(idle_timeout_s)
    while True:
        begun_s = time.monotonic()
        try:
            with anyio.fail_after(pace.left_s):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise pace.timeout() from None
        if chunk is None:
            return
        pace.took(time.monotonic() - begun_s, len(chunk))
        yield chunk


@asynccontextmanager
async def spooled_body(request: Request, services: Services, *, cap_bytes: int, what: str) -> AsyncIterator[Path]:
    """The request's body as a file of this process's work folder, removed at the end.

    Raises:
        TooLarge: The body passed the cap; it is cut off there.
        InsufficientStorage: The disk is full.
    """
    path = services.work_dir / f"put-{new_id()}"
    try:
        try:
            await _write(path, request, services, cap_bytes=cap_bytes, what=what)
        except OSError as error:
            raise InsufficientStorage(f"the disk refused {what} on its way: {error.strerror}") from None
        yield path
    finally:
        with anyio.CancelScope(shield=True), suppress(FileNotFoundError):
            await run_blocking(services, path.unlink)


async def _write(path: Path, request: Request, services: Services, *, cap_bytes: int, what: str) -> None:
    stream = await run_blocking(services, path.open, "wb")
    size = 0
    buffer = bytearray()
    try:
        async for chunk in body_chunks(request):
            size += len(chunk)
            if size > cap_bytes:
                raise TooLarge(f"{what} has at most {cap_bytes} bytes here", max_bytes=cap_bytes)
            buffer += chunk
            if len(buffer) >= _BUFFER_BYTES:
                await run_blocking(services, stream.write, bytes(buffer))
                buffer.clear()
        if buffer:
            await run_blocking(services, stream.write, bytes(buffer))
    finally:
        with anyio.CancelScope(shield=True):
            await run_blocking(services, stream.close)


class ObjectResponse(StreamingResponse):
    """An open object streamed to the client; closed however the request ends.

    A store that fails half-way breaks the connection: the answer never looks whole.
    """

    def __init__(
        self,
        services: Services,
        context: AbstractContextManager[ObjectReader],
        reader: ObjectReader,
        *,
        status_code: int,
        headers: dict[str, str],
    ) -> None:
        super().__init__(self._chunks(), status_code, headers=headers, media_type="application/octet-stream")
        self._services = services
        self._context = context
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await run_blocking(self._services, self._context.__exit__, None, None, None)

    async def _chunks(self) -> AsyncIterator[bytes]:
        chunks = self._reader.chunks(_BUFFER_BYTES)
        while (chunk := await run_blocking(self._services, next, chunks, None)) is not None:
            yield chunk
