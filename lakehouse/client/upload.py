"""A file as a body that is read from disk while it is sent: memory stays flat whatever its size.

Belongs here: the body's bytes and its length, as a form and as it is. Not here: sending it (see the clients).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from lakehouse.client.call import Call

_CHUNK_BYTES = 1 << 20


class Upload:
    """One try of sending a file as the form field `file`.

    Raises:
        OSError: The file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._stream = path.open("rb")
        boundary = secrets.token_hex(16)
        disposition = f'form-data; name="file"; filename="{_quoted(path.name)}"'
        kind = "Content-Type: application/octet-stream"  # the API goes by the suffix of the name
        self._head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\n{kind}\r\n\r\n".encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        size = os.fstat(self._stream.fileno()).st_size
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(self._head) + size + len(self._tail)),
        }

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stream.close()

    def chunks(self) -> Iterator[bytes]:
        """The body's bytes, once."""
        yield self._head
        while data := self._stream.read(_CHUNK_BYTES):
            yield data
        yield self._tail


class FileBody:
    """One try of sending a file's bytes and nothing else.

    Raises:
        OSError: The file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._stream = path.open("rb")
        size = os.fstat(self._stream.fileno()).st_size
        self.headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}

    def __enter__(self) -> FileBody:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stream.close()

    def chunks(self) -> Iterator[bytes]:
        """The file's bytes, once."""
        while data := self._stream.read(_CHUNK_BYTES):
            yield data


def open_upload(call: Call[Any]) -> Upload | FileBody | None:
    """The upload of a call's file; None for a call without one."""
    if call.file is None:
        return None
    return Upload(call.file) if call.is_form else FileBody(call.file)


def _quoted(name: str) -> str:
    """A file's name as forms carry it.

    Source: HTML, section 4.10.21.8 "Multipart form data".
    """
    return name.replace("\n", "%0A").replace("\r", "%0D").replace('"', "%22")
