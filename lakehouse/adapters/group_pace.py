"""How far groups of writes are apart: a few milliseconds where several write at a time, else nothing.

A group costs about the same for one write as for fifty. Where writes come one by one there is nobody to gather, and
waiting would only make them slower; where many come together they are a group without it. In between, groups of some
that follow each other as fast as they can cost most of the time that all of them share.

Belongs here: the distance. Not here: groups (see event_queue.py, memory_writer.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable

_FEWEST, _MOST = 4, 24


class GroupPace:
    """Keeps groups of some apart; for the one thread that writes them.

    Args:
        apart_s: Shortest time from the beginning of a group of some to that of the next one.
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
