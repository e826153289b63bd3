"""Times as foreign logs have them: numbers since 1970 in one of four units, or text.

Belongs here: reading them. Not here: which field is a time (each format knows).
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from lakehouse.catalog.manifest import format_utc
from lakehouse.trajectories.run import Unusable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_S = 7_258_118_400  # 2200-01-01
# From 1973-03-03 to 2199 the numbers of two units never meet, so a unit need not be guessed.
_FIRST = 1e11
_PER_SECOND = (1, 1_000, 1_000_000, 1_000_000_000)


def moment_of(value: Any) -> str | None:
    """A time in UTC with microseconds.

    Args:
        value: Seconds, milli-, micro- or nanoseconds since 1970 (numbers below 1e11 are seconds), or ISO 8601 with a
            zone, or None.

    Raises:
        Unusable: It is no such time, or not between 1970 and 2199.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return _read(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise Unusable(f"timestamp {value!r} is not a time since 1970")
    for unit, per_second in enumerate(_PER_SECOND):
        if value <= _LAST_S * per_second and (unit == 0 or value >= _FIRST * per_second / 1_000):
            return _from_epoch(value, per_second)
    raise Unusable(f"timestamp {value!r} is in no unit of time between 1970 and 2199")


def _from_epoch(value: float, per_second: int) -> str:
    # Whole numbers stay whole: a float holds no microseconds of today.
    microseconds = (
        value * 1_000_000 // per_second if isinstance(value, int) else round(value * (1_000_000 / per_second))
    )
    return format_utc(_EPOCH + timedelta(microseconds=int(microseconds)))


def _read(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Unusable(f"timestamp {text[:40]!r} is not a time") from None
    if moment.tzinfo is None:
        raise Unusable(f"timestamp {text[:40]!r} has no zone")
    if not 1970 <= moment.astimezone(UTC).year < 2200:
        raise Unusable(f"timestamp {text[:40]!r} is not between 1970 and 2199")
    return format_utc(moment)
