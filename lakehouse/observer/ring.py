"""The ring: the latest events in memory; full, it drops its oldest and counts them.

Belongs here: keeping, dropping, looking. Not here: what all events of the process add up to (see stats.py).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice

from lakehouse.observer.event import ObserverEvent, matches


class EventRing:
    """The latest events; safe for any number of threads.

    Args:
        size: Most events that are kept.
    """

    def __init__(self, size: int) -> None:
        self._events: deque[ObserverEvent] = deque(maxlen=size)
        self._lock = threading.Lock()
        self._version = 0
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._events)

    @property
    def dropped(self) -> int:
        """How many have had to go."""
        return self._dropped

    @property
    def version(self) -> int:
        """Another number after every event."""
        return self._version

    def put(self, event: ObserverEvent) -> None:
        """Add one; the oldest goes where there is no room."""
        with self._lock:
            self._dropped += len(self._events) == self._events.maxlen
            self._version += 1
            self._events.append(event)

    def events(self) -> list[ObserverEvent]:
        """All that are kept, oldest first."""
        with self._lock:
            return list(self._events)

    def latest(
        self,
        limit: int,
        *,
        source: str | None = None,
        kind: str | None = None,
        verdict: str | None = None,
        model: str | None = None,
        since: datetime | None = None,
    ) -> list[ObserverEvent]:
        """Events that fit, newest first.

        Args:
            limit: Most events.
            source: Only of this source.
            kind: Only of this kind.
            verdict: Only with this verdict.
            model: Only of this model.
            since: Only those recorded at or after this time, aware.
        """
        wanted = {"source": source, "kind": kind, "verdict": verdict, "model": model, "since": since}
        return list(islice(self._fitting(wanted), limit))

    def _fitting(self, wanted: Mapping[str, object]) -> Iterator[ObserverEvent]:
        return (event for event in reversed(self.events()) if matches(event, wanted))
