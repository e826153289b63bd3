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
    lost: nothing but a pipe between the child and its log could prevent that.
    """
    if not path.exists() or path.stat().st_size <= max_bytes:
        return False
    for number in range(keep - 1, 0, -1):
        older = _numbered(path, number)
        if older.exists():
            older.replace(_numbered(path, number + 1))
    with path.open("r+b") as source, _numbered(path, 1).open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)  # to the end, also of what is written meanwhile
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
