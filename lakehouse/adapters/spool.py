"""The spool's files: one folder per writer, one open part per stream and day, closed parts waiting to be shipped.

Belongs here: files, durability, recovery after a crash. Not here: threads and shipping (see event_log.py).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lakehouse.clock import new_id


@dataclass(slots=True)
class Part:
    """A file of lines. `path` is `<writer>/<stream>/<day>_<part id>.jsonl`."""

    path: Path
    size: int
    lines: int
    opened_s: float

    @property
    def stream(self) -> str:
        """The stream of its lines."""
        return self.path.parent.name

    @property
    def day(self) -> str:
        """The day its lines were recorded, ISO."""
        return self.path.stem.split("_", 1)[0]

    @property
    def part_id(self) -> str:
        """Its id, which sorts by the time it was opened."""
        return self.path.stem.split("_", 1)[1]


class Spool:
    """One writer's folder, locked for as long as the writer lives.

    Args:
        root: Folder of all writers of this machine.
        monotonic: Seconds of a clock that never goes back.
    """

    def __init__(self, root: Path, *, monotonic: Callable[[], float]) -> None:
        self._root = root
        self._monotonic = monotonic
        self.folder = root / new_id()
        self._open: dict[tuple[str, str], tuple[int, Part]] = {}
        self._retired: list[Part] = []
        self._lock: int | None = None

    def open(self) -> list[Part]:
        """Make and lock this writer's folder, and take over the parts that dead writers have left."""
        self.folder.mkdir(parents=True)
        self._lock = _try_lock(self.folder)
        return list(self._adopt())

    def close(self) -> list[Part]:
        """Close every part; returns those with lines."""
        closed = [self._close(key) for key in list(self._open)]
        return self._take_retired() + [part for part in closed if part is not None]

    def release(self) -> None:
        """Unlock the folder; it is removed when nothing is left in it."""
        if self._lock is not None:
            _remove_empty(self.folder)
            os.close(self._lock)
            self._lock = None

    def write(self, stream: str, day: str, lines: list[bytes], *, sync: bool) -> None:
        """Append whole lines, or none of them; with `sync` they are on disk when this returns.

        Raises:
            OSError: The disk refuses; what was written of these lines has been cut off again.
        """
        handle, part = self._part(stream, day)
        data = b"".join(lines)
        try:
            written = 0
            while written < len(data):
                written += os.write(handle, data[written:])
            if sync:
                os.fdatasync(handle)
        except OSError:
            # After a failed fsync the kernel may have dropped pages, so nothing more is written to this part; what was
            # durable stays.
            with suppress(OSError):
                os.ftruncate(handle, part.size)
            retired = self._close((stream, day))
            self._retired += [retired] if retired else []
            raise
        part.size += len(data)
        part.lines += len(lines)

    def rotate(self, *, max_bytes: int, max_age_s: float, day: str) -> list[Part]:
        """Close the parts that are large, old, or of another day than today."""
        now = self._monotonic()
        due = [
            key
            for key, (_, part) in self._open.items()
            if part.size >= max_bytes or now - part.opened_s >= max_age_s or key[1] != day
        ]
        closed = [self._close(key) for key in due]
        return self._take_retired() + [part for part in closed if part is not None]

    def _take_retired(self) -> list[Part]:
        retired, self._retired = self._retired, []
        return retired

    def _part(self, stream: str, day: str) -> tuple[int, Part]:
        key = (stream, day)
        if key not in self._open:
            folder = self.folder / stream
            if not folder.exists():
                folder.mkdir()
                _sync_folder(self.folder)
            path = folder / f"{day}_{new_id()}.jsonl"
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL, 0o600)
            try:
                _sync_folder(folder)
            except OSError:
                os.close(handle)
                raise
            self._open[key] = (handle, Part(path, 0, 0, self._monotonic()))
        return self._open[key]

    def _close(self, key: tuple[str, str]) -> Part | None:
        handle, part = self._open.pop(key)
        with suppress(OSError):  # all lines that had to be durable have been synced
            os.close(handle)
        if part.size == 0:
            with suppress(OSError):
                part.path.unlink(missing_ok=True)
            return None
        return part

    def _adopt(self) -> Iterator[Part]:
        for folder in sorted(self._root.iterdir()):
            if folder == self.folder or not folder.is_dir():
                continue
            lock = _try_lock(folder)
            if lock is None:
                continue  # its writer lives
            for path in sorted(folder.glob("*/*.jsonl")):
                part = recover_part(path, self._monotonic())
                if part is not None:
                    target = self.folder / part.stream
                    target.mkdir(exist_ok=True)
                    part.path = path.rename(target / path.name)
                    yield part
            _remove_empty(folder)
            os.close(lock)


def recover_part(path: Path, opened_s: float) -> Part | None:
    """A dead writer's part without a line that was only half written; None when nothing is left."""
    lines, good = 0, 0
    with path.open("r+b") as stream:
        for line in stream:
            if not line.endswith(b"\n"):
                break
            lines, good = lines + 1, good + len(line)
        stream.truncate(good)
    if good == 0:
        path.unlink()
        return None
    return Part(path, good, lines, opened_s)


def _try_lock(folder: Path) -> int | None:
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _remove_empty(folder: Path) -> None:
    for child in folder.iterdir():
        if child.is_dir() and not any(child.iterdir()):
            child.rmdir()
    if [child.name for child in folder.iterdir()] == ["lock"]:
        (folder / "lock").unlink()
        folder.rmdir()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
