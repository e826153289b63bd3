"""How far groups of writes are apart: a few milliseconds where several write at a time, else nothing.

A group costs about the same for one write as for fifty. When writes come one by one, waiting would only make them
slower; when many come at once they are one group without waiting. In between, small groups in quick succession would
take most of the time, so these are kept apart.

Belongs here: the distance. Not here: groups (see event_queue.py, memory_writer.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable

_FEWEST, _MOST = 4, 24


class GroupPace:
    """Keeps groups of several writes apart; for the one thread that writes them.

    Args:
        apart_s: Shortest time from the beginning of a group of several writes to that of the next group.
        monotonic: Seconds of a clock that never goes back.
        sleep: Waits for some seconds.
    """

    def __init__(
        self,
        apart_s: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._apart_s = apart_s
        self._monotonic = monotonic
        self._sleep = sleep
        self._begun_s: float | None = None

    def keep(self) -> None:
        """Wait until the next group may begin."""
        if self._begun_s is None:
            return
        left_s = self._begun_s + self._apart_s - self._monotonic()
        if left_s > 0:
            self._sleep(left_s)

    def begin(self, count: int) -> None:
        """Note that a group of so many begins."""
        self._begun_s = self._monotonic() if _FEWEST <= count <= _MOST else None
