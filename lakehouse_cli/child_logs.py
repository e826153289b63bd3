"""Child logs: the files that children append to, cut by size while they write.

A child holds its log open in append mode, so that the file can be copied away and truncated under it and the child
outlives whoever rotates: no pipe can break.

Belongs here: rotation and reading the end. Not here: what is logged.
"""

from __future__ import annotations

import shutil
from pathlib import Path


def rotate(path: Path, *, max_bytes: int, keep: int) -> bool:
    """Move a log's content to `<name>.1` when it is larger than `max_bytes`; true when it was.

    `<name>.<keep>` is the oldest that stays. A line written in the instant between the copy's last read and the cut
    is lost; that is the price of not standing between the child and its log.
    """
    if not path.exists() or path.stat().st_size <= max_bytes:
        return False
    for number in range(keep - 1, 0, -1):
        older = _numbered(path, number)
        if older.exists():
            older.replace(_numbered(path, number + 1))
    with path.open("r+b") as source, _numbered(path, 1).open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)  # reads on until there is nothing more
        source.truncate(0)
    return True


def last_lines(path: Path, count: int = 15, *, max_bytes: int = 16_384) -> list[str]:
    """The last lines of a log, for a failure message."""
    if not path.exists():
        return []
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - max_bytes))
        return stream.read().decode(errors="replace").splitlines()[-count:]


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
