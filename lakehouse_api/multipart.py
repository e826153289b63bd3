"""The file of a multipart body, streamed to disk and hashed, without holding it in memory.

Belongs here: `spooled_file`. Not here: raw bodies (see spool.py), what is done with the file (see routes/ingest.py).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import anyio
from python_multipart.exceptions import FormParserError, MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from lakehouse.clock import new_id
from lakehouse.errors import BadInput, InsufficientStorage, TooLarge
from lakehouse_api.dependencies import run_blocking
from lakehouse_api.services import Services
from lakehouse_api.spool import body_chunks

FIELD = "file"
_BATCH_BYTES = 2 << 20
_BATCHES_AHEAD = 3
# Part headers and other fields; a client that sends more than this beside its file is not sending a form.
_MAX_OTHER_BYTES = 64 << 10


@dataclass(slots=True)
class SpooledFile:
    """The uploaded file on local disk. `sha256` is hex; `name` is what the client called it."""

    path: Path
    name: str
    content_type: str
    sha256: str
    size: int


@dataclass(slots=True)
class _FormReader:
    """Callbacks of the push parser: gathers the bytes of the field `file`, and the short fields before it.

    Attributes:
        begin: Told of those fields before a byte of the file is taken; what it raises ends the upload.
    """

    begin: Callable[[Mapping[str, str]], None] | None = None
    fields: dict[str, str] = field(default_factory=dict)
    name: str | None = None
    file_name: str = ""
    content_type: str = ""
    is_in_file: bool = False
    files: int = 0
    is_ended: bool = False
    other_bytes: int = 0
    data: list[memoryview] = field(default_factory=list)
    data_bytes: int = 0
    _header: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _text: bytearray = field(default_factory=bytearray)

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._gather_header,
            "on_header_value": self._gather_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._headers_done,
            "on_part_data": self._take,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self.is_in_file = False
        self.name = None

    def _gather_header(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._header += data[start:end]

    def _gather_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._value += data[start:end]

    def _end_header(self) -> None:
        header, value = bytes(self._header).lower(), bytes(self._value)
        self._header.clear()
        self._value.clear()
        if header == b"content-disposition":
            _, options = parse_options_header(value)
            self.name = options.get(b"name", b"").decode("utf-8", "replace")
            if self.name == FIELD:
                self.file_name = options.get(b"filename", b"").decode("utf-8", "replace")
        elif header == b"content-type" and self.name in (None, FIELD):
            self.content_type = value.decode("latin-1")

    def _headers_done(self) -> None:
        self.is_in_file = self.name == FIELD
        self.files += self.is_in_file
        if self.files > 1:
            raise BadInput(f"the body has more than one field {FIELD!r}; send one file a request")
        if self.is_in_file and self.begin is not None:
            self.begin(self.fields)

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self.is_in_file:
            self.data.append(memoryview(data)[start:end])
            self.data_bytes += end - start
        else:
            self._count(end - start)
            self._text += data[start:end]

    def _end_part(self) -> None:
        if not self.is_in_file and self.name:
            self.fields[self.name] = self._text.decode("utf-8", "replace")
        self._text.clear()

    def _count(self, size: int) -> None:
        self.other_bytes += size
        if self.other_bytes > _MAX_OTHER_BYTES:
            raise BadInput(f"the body has more than {_MAX_OTHER_BYTES} bytes beside the field {FIELD!r}")

    def _end(self) -> None:
        self.is_ended = True


@asynccontextmanager
async def spooled_file(
    request: Request,
    services: Services,
    *,
    cap_bytes: int,
    begin: Callable[[Mapping[str, str]], None] | None = None,
) -> AsyncIterator[SpooledFile]:
    """The body's field `file` as a local file, removed at the end.

    Args:
        request: Whose body it is.
        services: Of the folder and the threads.
        cap_bytes: Of the file.
        begin: Given the fields that stand before the file, before a byte of it is taken; what it raises is raised.

    Raises:
        BadInput: The body is no multipart form with one field `file`, or ends before its last boundary.
        TooLarge: The file passed the cap; it is cut off there.
        InsufficientStorage: The disk refused it.
    """
    reader = _FormReader(begin)
    boundary = _boundary(request)
    try:
        parser = MultipartParser(boundary, reader.callbacks())  # type: ignore[arg-type]
    except FormParserError as error:
        raise BadInput(f"the boundary of the multipart form is refused: {error}") from None
    path = services.work_dir / f"upload-{new_id()}"
    try:
        async with _written(services, path) as file:
            async for chunk in _without_preamble(body_chunks(request), b"--" + boundary):
                try:
                    parser.write(chunk)
                except MultipartParseError as error:
                    raise BadInput(f"the body is not a well-formed multipart form: {error}") from None
                if file.size + reader.data_bytes > cap_bytes:
                    raise TooLarge(f"an upload has at most {cap_bytes} bytes here", max_bytes=cap_bytes)
                if reader.data_bytes >= _BATCH_BYTES:
                    await file.write(reader)
            await file.write(reader)
        if not reader.files:
            raise BadInput(f"the body has no field {FIELD!r}; send the file as that field of a multipart form")
        if not reader.is_ended:
            raise BadInput("the body ends before its closing boundary; the upload was cut off")
        yield SpooledFile(path, reader.file_name, reader.content_type, file.digest.hexdigest(), file.size)
    finally:
        with anyio.CancelScope(shield=True), suppress(FileNotFoundError):
            await run_blocking(services, path.unlink)


class _Writer:
    """Writes and hashes batches in a thread, in their order, while the next ones come in."""

    def __init__(self, services: Services, stream: BinaryIO) -> None:
        self._services = services
        self._stream = stream
        self._waiting: list[list[memoryview]] = []
        self._writing: asyncio.Task[None] | None = None
        self.digest = hashlib.sha256()
        self.size = 0

    async def write(self, reader: _FormReader) -> None:
        """Take the batch that the reader holds; waits when too many are to be written yet."""
        parts, reader.data = reader.data, []
        self.size, reader.data_bytes = self.size + reader.data_bytes, 0
        self._waiting.append(parts)
        if self._writing is not None and (self._writing.done() or len(self._waiting) > _BATCHES_AHEAD):
            await self._finish()
        if self._writing is None:
            self._begin()

    async def drain(self) -> None:
        """Wait until all that was taken is written."""
        while self._waiting or self._writing is not None:
            if self._writing is None:
                self._begin()  # the thread had ended when the last batch came
            await self._finish()

    def _begin(self) -> None:
        self._writing = asyncio.create_task(run_blocking(self._services, self._write_all))

    async def _finish(self) -> None:
        """Wait for the thread; its error is raised again by every later call, as nothing may be written after it."""
        assert self._writing is not None
        await asyncio.shield(self._writing)  # a cancelled request still waits for its thread before closing the file
        self._writing = None

    def _write_all(self) -> None:
        while self._waiting:
            for part in self._waiting.pop(0):
                self.digest.update(part)
                self._stream.write(part)


@asynccontextmanager
async def _written(services: Services, path: Path) -> AsyncIterator[_Writer]:
    try:
        stream = await run_blocking(services, path.open, "wb", _BATCH_BYTES)
        writer = _Writer(services, stream)
        try:
            yield writer
            await writer.drain()
        finally:
            with anyio.CancelScope(shield=True):
                with suppress(OSError):
                    await writer.drain()  # also after a failure, as the thread must be done with the file
                await run_blocking(services, stream.close)
    except OSError as error:
        raise InsufficientStorage(f"the disk refused the upload on its way: {error.strerror}") from None


async def _without_preamble(chunks: AsyncIterator[bytes], boundary: bytes) -> AsyncIterator[bytes]:
    """The body from its first boundary on; a preamble is to be ignored (RFC 2046, section 5.1.1)."""
    head: bytes | None = b""
    async for chunk in chunks:
        if head is None:
            yield chunk
            continue
        head += chunk
        start = 0 if head.startswith(boundary) else head.find(b"\r\n" + boundary) + 2
        if start >= 2 or head.startswith(boundary):  # find gives -1
            yield head[start:]
            head = None
        elif len(head) > _MAX_OTHER_BYTES:
            raise BadInput(f"the body is not a well-formed multipart form: no boundary in its first {len(head)} bytes")
    if head:
        raise BadInput("the body is not a well-formed multipart form: its boundary is nowhere in it")


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise BadInput(
            f"send the file as the field {FIELD!r} of a multipart form (Content-Type: multipart/form-data; boundary=…)"
        )
    return boundary
