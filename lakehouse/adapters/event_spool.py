"""The spool: one folder of part files per writing process, each line on disk before it is acknowledged.

A writer holds `<writer>.lock` for as long as it lives and before its folder is there; whoever gets the lock of a
folder therefore knows that its writer is dead, and may ship what it left.

Belongs here: the files of the spool. Not here: threads (see event_log.py), the bucket (see event_shipper.py).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lakehouse.clock import new_id
from lakehouse.events.parts import PartName, Place, RotationRule, parse_file_name

_CHUNK_BYTES = 1 << 20


@dataclass(slots=True, eq=False)
class SpoolPart:
    """One part file; its first `size_bytes` are whole lines that are on disk, what follows them does not count."""

    path: Path
    name: PartName
    opened_s: float
    size_bytes: int = 0
    lines: int = 0
    descriptor: int | None = None


class Spool:
    """The parts of one writer and those it has adopted from dead ones.

    `append` and the `seal_…` calls belong to one thread; `adopt`, `next_sealed` and `remove` to another.
    """

    def __init__(self, root: Path, rule: RotationRule, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._rule = rule
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._open: dict[Place, SpoolPart] = {}
        self._sealed: deque[SpoolPart] = deque()
        self._folders: dict[Path, int] = {}
        self._own: Path | None = None
        self.depth_bytes = 0
        self.depth_lines = 0

    def open(self) -> None:
        """Make this writer's folder and hold its lock; nothing happens when it is open.

        Raises:
            OSError: The disk is full or the folder not writable.
        """
        if self._own is not None:
            return
        self._root.mkdir(parents=True, exist_ok=True)
        folder = self._root / new_id()
        descriptor = _lock(folder)
        if descriptor is None:  # pragma: no cover - nobody else knows this name
            raise BlockingIOError(f"{folder.name} is locked")
        try:
            folder.mkdir()
            _sync_folder(self._root)
        except OSError:
            _release(folder, descriptor)
            raise
        self._folders[folder] = descriptor
        self._own = folder

    def append(self, place: Place, lines: Sequence[bytes]) -> None:
        """Write lines of one place and put them on disk; all of them or, on an error, none.

        Raises:
            OSError: Nothing of `lines` will be shipped; the caller may try again.
        """
        self.open()
        part = self._open.get(place) or self._new_part(place)
        assert part.descriptor is not None
        data = b"".join(lines)
        try:
            _write_all(part.descriptor, data)
            os.fdatasync(part.descriptor)
        except OSError:
            # After a failed sync the kernel may have dropped the pages: never write to this file again.
            self._cut(part)
            raise
        with self._lock:
            part.size_bytes += len(data)
            part.lines += len(lines)
            self.depth_bytes += len(data)
            self.depth_lines += len(lines)

    def seal_due(self, *, all_parts: bool = False) -> bool:
        """Close the parts that are big or old enough (or all of them); True when there is something to ship."""
        now_s = self._monotonic()
        due = [
            part
            for part in self._open.values()
            if all_parts or self._rule.is_due(size_bytes=part.size_bytes, age_s=now_s - part.opened_s)
        ]
        for part in due:
            self._seal(part)
        return bool(due)

    def due_in_s(self) -> float | None:
        """Seconds until the oldest open part is due; None without one."""
        opened_s = [part.opened_s for part in self._open.values()]
        return max(0.0, min(opened_s) + self._rule.part_age_s - self._monotonic()) if opened_s else None

    def next_sealed(self) -> SpoolPart | None:
        """The part to ship next; it stays until `remove`."""
        with self._lock:
            return self._sealed[0] if self._sealed else None

    def remove(self, part: SpoolPart) -> None:
        """Forget a part that is in the bucket, and its file."""
        part.path.unlink(missing_ok=True)
        with self._lock:
            self._sealed.remove(part)
            self.depth_bytes -= part.size_bytes
            self.depth_lines -= part.lines
        if part.path.parent != self._own:
            self._leave(part.path.parent)

    def adopt(self) -> None:
        """Take over what dead writers have left, cutting off a last line that is not whole."""
        if not self._root.is_dir():
            return
        for folder in sorted(self._root.iterdir()):
            if not folder.is_dir() or folder in self._folders:
                continue
            descriptor = _lock(folder)
            if descriptor is None:
                continue
            parts = [part for path in sorted(folder.glob("*.jsonl")) if (part := self._recover(path)) is not None]
            self._folders[folder] = descriptor
            with self._lock:
                self._sealed += parts
                self.depth_bytes += sum(part.size_bytes for part in parts)
                self.depth_lines += sum(part.lines for part in parts)
            if not parts:
                self._leave(folder)

    def oldest_age_s(self) -> float:
        """Age of the oldest part that is not in the bucket; 0.0 without one."""
        with self._lock:
            opened_s = [part.opened_s for part in (*self._open.values(), *self._sealed)]
        return max(0.0, self._monotonic() - min(opened_s)) if opened_s else 0.0

    def close(self) -> None:
        """Give the locks back; folders that are empty go, the others wait for the next writer."""
        self.seal_due(all_parts=True)
        for folder in list(self._folders):
            self._leave(folder, is_closing=True)
        self._own = None

    def _new_part(self, place: Place) -> SpoolPart:
        assert self._own is not None
        name = PartName(place, new_id())
        path = self._own / name.file_name
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        part = SpoolPart(path, name, self._monotonic(), descriptor=descriptor)
        try:
            _sync_folder(self._own)
        except OSError:
            self._seal(part)
            raise
        with self._lock:
            self._open[place] = part
        return part

    def _cut(self, part: SpoolPart) -> None:
        assert part.descriptor is not None
        with contextlib.suppress(OSError):
            os.ftruncate(part.descriptor, part.size_bytes)
            os.fdatasync(part.descriptor)
        self._seal(part)

    def _seal(self, part: SpoolPart) -> None:
        if part.descriptor is not None:
            os.close(part.descriptor)
            part.descriptor = None
        with self._lock:
            self._open.pop(part.name.place, None)
            if part.size_bytes:
                self._sealed.append(part)
        if not part.size_bytes:
            part.path.unlink(missing_ok=True)

    def _recover(self, path: Path) -> SpoolPart | None:
        name = parse_file_name(path.name)
        if name is None:
            return None
        size_bytes, lines = _whole_lines(path)
        if size_bytes == 0:
            path.unlink(missing_ok=True)
            return None
        age_s = max(0.0, time.time() - path.stat().st_mtime)
        if size_bytes != path.stat().st_size:
            os.truncate(path, size_bytes)
        return SpoolPart(path, name, self._monotonic() - age_s, size_bytes, lines)

    def _leave(self, folder: Path, *, is_closing: bool = False) -> None:
        if not is_closing and any(part.path.parent == folder for part in self._sealed):
            return
        _release(folder, self._folders.pop(folder))


def _lock(folder: Path) -> int | None:
    """The descriptor that holds a folder's lock, or None when its writer lives."""
    descriptor = os.open(folder.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _release(folder: Path, descriptor: int) -> None:
    """Remove a folder if it is empty, then its lock; one that is not empty keeps its files for the next writer."""
    with contextlib.suppress(OSError):
        folder.rmdir()
    if not folder.exists():
        folder.with_suffix(".lock").unlink(missing_ok=True)
    os.close(descriptor)


def _whole_lines(path: Path) -> tuple[int, int]:
    """Bytes up to and with the last line break, and how many lines they are."""
    size_bytes = lines = position = 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            lines += chunk.count(b"\n")
            last = chunk.rfind(b"\n")
            if last >= 0:
                size_bytes = position + last + 1
            position += len(chunk)
    return size_bytes, lines


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _sync_folder(folder: Path) -> None:
    """Put a new name in a folder on disk: a file's own sync does not."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
