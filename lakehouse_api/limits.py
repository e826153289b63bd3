"""Limits on concurrency and silence: a gate that refuses instead of queueing, the longest pause of a client.

Belongs here: counting what is in flight. Not here: sizes of bodies (see middleware_body.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lakehouse.errors import LakehouseError, Unavailable

# Longest pause of a client in the middle of a body, as a stalled client must not keep its place for ever.
IDLE_TIMEOUT_S = 60.0


class Gate:
    """At most `limit` holders at a time; one more is told to come back, at once. For one event loop.

    Args:
        limit: How many may hold it.
        what: What they are, for the message.
        retry_after_s: When to come back.
    """

    def __init__(self, limit: int, what: str, *, retry_after_s: int = 5) -> None:
        self._limit = limit
        self._what = what
        self._retry_after_s = retry_after_s
        self._held = 0

    @property
    def held(self) -> int:
        """How many hold it now."""
        return self._held

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold a place for the length of the context.

        Raises:
            Unavailable: All places are taken.
        """
        if self._held >= self._limit:
            raise Unavailable(
                f"{self._limit} {self._what} are in flight already; try again in {self._retry_after_s} s",
                retry_after_s=self._retry_after_s,
            )
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1


class BodyTimeout(LakehouseError):
    """The client stopped sending."""

    status = 408
    title = "Request timeout"


def body_timeout(idle_s: float) -> BodyTimeout:
    """What a client gets that has sent nothing for some seconds."""
    return BodyTimeout(f"nothing came for {idle_s:g} s in the middle of the body; send it again")
