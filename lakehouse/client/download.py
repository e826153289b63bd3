"""A file being downloaded: it appears under its name when it is whole, and not before.

Belongs here: the temporary file beside it and the rename. Not here: where the bytes come from (see the clients).
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from types import TracebackType


class Download:
    """One file being downloaded; without `finish` it is removed, and a file that had its name stays as it was.

    Raises:
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder; name the file to write")
        self._path = path
        self._part = path.with_name(f".lakehouse-{secrets.token_hex(8)}.part")
        self._stream = self._part.open("xb")

    def __enter__(self) -> Download:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stream.close()
        self._part.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._stream.write(data)

    def finish(self) -> None:
        """Flush the file to disk, then rename it to its name."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._part.replace(self._path)
