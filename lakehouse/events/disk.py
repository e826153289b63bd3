"""The disk's state: when writes are refused, and when operators should look.

Belongs here: limits and their check. Not here: what is refused (see lakehouse_api/routes).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lakehouse.errors import InsufficientStorage

DiskState = Literal["ok", "degraded", "full"]
_LOOK_EVERY_S = 1.0


class DiskWatch:
    """The fullest of some folders' disks, looked at once a second at most.

    Args:
        paths: Folders; one that is not there yet counts as its nearest parent.
        degraded_percent: From here on the state is `degraded`.
        refuse_percent: From here on it is `full`.
    """

    def __init__(self, paths: Sequence[Path], degraded_percent: float, refuse_percent: float) -> None:
        self._paths = tuple(paths)
        self._degraded_percent = degraded_percent
        self._refuse_percent = refuse_percent
        self._looked_at = -_LOOK_EVERY_S
        self._percent = 0.0

    def state(self) -> tuple[DiskState, float]:
        """The state, and the use of the fullest disk in percent."""
        if time.monotonic() - self._looked_at >= _LOOK_EVERY_S:
            self._percent = max(disk_usage_percent(path) for path in self._paths)
            self._looked_at = time.monotonic()
        if self._percent >= self._refuse_percent:
            return "full", self._percent
        return ("degraded" if self._percent >= self._degraded_percent else "ok"), self._percent

    def require_space(self) -> None:
        """Refuse a write on a full disk.

        Raises:
            InsufficientStorage: The disk is used beyond the limit.
        """
        state, percent = self.state()
        if state == "full":
            raise InsufficientStorage(
                f"the disk is {percent:.0f} % full and writes are refused from {self._refuse_percent:g} %;"
                " free some space (`lakehouse gc` may help), reading goes on",
                percent=round(percent, 1),
            )


def disk_usage_percent(path: Path) -> float:
    """Use of the disk under a path in percent, of what ordinary users may use."""
    nearest = next(p for p in (path, *path.parents) if p.exists())
    usage = shutil.disk_usage(nearest)
    return 100 * usage.used / max(1, usage.used + usage.free)
