"""Child logs: the files that children append to, cut by size while they write.

A child holds its log open in append mode, so the file can be copied and truncated while the child writes. There is no
pipe, so the child does not depend on the process that rotates.

Belongs here: rotation and reading the end. Not here: what is logged.
"""

from __future__ import annotations

import shutil
from pathlib import Path


def rotate(path: Path, *, max_bytes: int, keep: int) -> bool:
    """Move a log's content to `<name>.1` when it is larger than `max_bytes`; true when it was.

    `<name>.<keep>` is the oldest that stays. A line that is written between the copy's last read and the truncation is
    lost: nothing but a pipe between the child and its log could prevent that. Where the disk has no room for a copy
    all stays as it is.
    """
    if not path.exists() or path.stat().st_size <= max_bytes:
        return False
    copy = path.with_name(f"{path.name}.copy")
    try:
        with path.open("r+b") as source, copy.open("wb", buffering=0) as target:
            shutil.copyfileobj(source, target, 1 << 20)  # to the end, also of what is written meanwhile
            source.truncate(0)
    except OSError:
        copy.unlink(missing_ok=True)
        return False
    for number in range(keep - 1, 0, -1):
        older = _numbered(path, number)
        if older.exists():
            older.replace(_numbered(path, number + 1))
    copy.replace(_numbered(path, 1))
    return True


class NewLines:
    """What a log has been given since the last look, of a flood the end.

    Args:
        path: The log, which may be missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_to = 0
        self.skip()

    def skip(self) -> None:
        """Count what is there as read."""
        self._read_to = self._size()

    def read(self, *, max_bytes: int = 1 << 20) -> bytes:
        """What is new, the last `max_bytes` of it at most; after the log was rotated, all that is in it."""
        size = self._size()
        if size < self._read_to:
            self._read_to = 0
        if size == self._read_to:
            return b""
        with self._path.open("rb") as stream:
            stream.seek(max(self._read_to, size - max_bytes))
            found = stream.read(max_bytes)
            self._read_to = stream.tell()
        return found

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0


def last_lines(path: Path, count: int = 15, *, max_bytes: int = 16_384) -> list[str]:
    """The last lines of a log, for a failure message."""
    if not path.exists():
        return []
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - max_bytes))
        return stream.read().decode(errors="replace").splitlines()[-count:]


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
