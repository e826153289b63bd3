"""When a call is tried again: the API said when to come back, and the call changes nothing by being made twice.

Belongs here: the rule. Not here: which calls may be made twice (see the calls), sleeping (see the clients).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

_RETRIED = frozenset({429, 503})
_JITTER_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a client is.

    Args:
        attempts: Most tries of one call; 1 never tries again.
        longest_wait_s: A `Retry-After` beyond it is an error at once.
    """

    attempts: int = 4
    longest_wait_s: float = 30.0

    def wait_s(
        self, attempt: int, status: int, retry_after_s: float | None, *, jitter: Callable[[], float]
    ) -> float | None:
        """Seconds until the next try; None: this was the last one.

        Args:
            attempt: The one that failed, from 1.
            status: HTTP status of its answer.
            retry_after_s: What the answer said.
            jitter: Gives a number in [0, 1): clients that were refused together must not come back together.
        """
        if attempt >= self.attempts or status not in _RETRIED or retry_after_s is None:
            return None
        if retry_after_s > self.longest_wait_s:
            return None
        return retry_after_s * (1 + _JITTER_SHARE * jitter())


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Seconds of a `Retry-After` header, in either of its forms; None when it is missing or neither.

    Source: RFC 9110, section 10.2.3.
    """
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    if at.tzinfo is None:  # "-0000": a time in UTC of an unknown place
        at = at.replace(tzinfo=now.tzinfo)
    return max(0.0, (at - now).total_seconds())
