"""`DiskWatch`: says when the disks under the platform fill up, and refuses writes before they are full.

Belongs here: the two thresholds and how often a disk is asked. Not here: quotas of one upload or query.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from lakehouse.errors import InsufficientStorage

DiskState = Literal["ok", "degraded", "full"]
MAX_AGE_S = 1.0


class DiskWatch:
    """The fullest of some disks; each is asked at most once a second, whoever asks how often.

    Args:
        paths: Folders to watch; one that is not there yet counts as its nearest parent.
        degraded_percent: Use from which the state is `degraded`.
        refuse_percent: Use from which the state is `full` and writes are refused.
        usage_percent: Gives the use of the disk under a folder, in percent; `OSError` when it cannot be asked.
        monotonic: The clock of the cache, in seconds.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        degraded_percent: float,
        refuse_percent: float,
        *,
        usage_percent: Callable[[Path], float] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paths = tuple(paths)
        self._degraded_percent = degraded_percent
        self._refuse_percent = refuse_percent
        self._usage_percent = usage_percent or disk_usage_percent
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._percent = 0.0
        self._asked_s: float | None = None

    def state(self) -> tuple[DiskState, float]:
        """The state and the use of the fullest disk in percent."""
        percent = self._read()
        if percent >= self._refuse_percent:
            return "full", percent
        return ("degraded" if percent >= self._degraded_percent else "ok"), percent

    def require_space(self) -> None:
        """Refuse a write on a full disk.

        Raises:
            InsufficientStorage: With the use and the limit in percent.
        """
        state, percent = self.state()
        if state == "full":
            raise InsufficientStorage(
                f"the disk is {percent:.1f} % full and writes stop at {self._refuse_percent:g} %; "
                "free some space, or run `lakehouse gc`",
                percent=round(percent, 1),
                refuse_percent=self._refuse_percent,
            )

    def _read(self) -> float:
        with self._lock:
            now_s = self._monotonic()
            if self._asked_s is None or now_s - self._asked_s >= MAX_AGE_S:
                self._percent = max((self._ask(path) for path in self._paths), default=0.0)
                self._asked_s = now_s
            return self._percent

    def _ask(self, path: Path) -> float:
        try:
            return self._usage_percent(path)
        except OSError:
            # A disk that does not answer is not known to have space.
            return 100.0


def disk_usage_percent(path: Path) -> float:
    """Percent of a disk that an ordinary user cannot write any more, by blocks or by inodes, whichever is fuller."""
    nearest = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    disk = os.statvfs(nearest)
    return max(_used(disk.f_blocks, disk.f_bfree, disk.f_bavail), _used(disk.f_files, disk.f_ffree, disk.f_favail))


def _used(total: int, free: int, available: int) -> float:
    """As `df` counts: blocks reserved for root are neither used nor available."""
    used = total - free
    return 100.0 * used / (used + available) if used + available > 0 else 0.0
