"""The hybrid logical clock: physical time that never goes back and is always past what was read from others.

Belongs here: the clock and how its values are laid out. Not here: what is ordered by it (see entry.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from lakehouse.clock import utc_now

# Values below this are times before the year 6400; larger ones can only be damage.
HLC_LIMIT = 1 << 63
_COUNTER_BITS = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class HybridClock:
    """Gives rising numbers: milliseconds since 1970 in the upper 48 bits, a counter in the lower 16; thread-safe.

    Args:
        clock: The time now, aware.

    Source: Kulkarni et al., "Logical Physical Clocks", 2014.
    """

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._last = 0
        self._lock = threading.Lock()

    def tick(self, count: int = 1) -> int:
        """The first of `count` consecutive values, all larger than any given or observed before."""
        now = int(self._clock().timestamp() * 1000) << _COUNTER_BITS
        with self._lock:
            first = max(self._last + 1, now)
            self._last = first + count - 1
        return first

    def observe(self, value: int) -> None:
        """Go on after a value read from another clock."""
        with self._lock:
            self._last = max(self._last, value)


def first_after(moment: datetime) -> int:
    """The smallest value of a later millisecond than an aware time's; all that was written until then is below."""
    return ((moment - _EPOCH) // timedelta(milliseconds=1) + 1) << _COUNTER_BITS


def physical_time(value: int) -> datetime:
    """The time in a value, aware, in UTC."""
    return datetime.fromtimestamp((value >> _COUNTER_BITS) / 1000, UTC)
