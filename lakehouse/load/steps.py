"""A scenario's steps: what it asks, what it is answered, and how it says that an answer is wrong.

A scenario is a generator that yields requests and is sent the answers; it knows no HTTP and no clock.

Belongs here: these values. Not here: the scenarios (see scenarios.py).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

from lakehouse.load.mix import RequestKind, ScenarioKind

_MOST_DETAIL = 300


class Ask(NamedTuple):
    """One request: its kind, method, path, and JSON body as bytes."""

    kind: RequestKind
    path: str
    body: bytes = b""
    method: str = "POST"


class Reply(NamedTuple):
    """One answer."""

    status: int
    body: bytes


Steps = Generator[Ask, Reply, None]


class Scenario(NamedTuple):
    """A scenario to play; `requests` is how many it makes when nothing fails."""

    kind: ScenarioKind
    requests: int
    steps: Steps


class Wrong(Exception):
    """An answer that is not right.

    Args:
        reason: What is wrong, in words that are the same for all answers that are wrong in this way.
        detail: What came, or where.
    """

    def __init__(self, reason: str, detail: str | bytes = "") -> None:
        super().__init__(reason)
        self.reason = reason
        text = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else detail
        self.detail = "".join(c if c.isprintable() else " " for c in text[:_MOST_DETAIL])
