"""What all events of a process add up to: by source, kind, verdict and model.

Belongs here: counting, within bounds. Not here: the events (see ring.py).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from lakehouse.observer.event import ObserverEvent

MAX_NAMES = 1000
OTHERS = "(others)"
"""Where names are counted that come after the first thousand: a sender must not fill the memory with them."""
_BY = ("source", "kind", "verdict", "model")


class ObserverStats:
    """Counts of one process since its start; safe for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = 0
        self._persist_errors = 0
        self._by: dict[str, dict[str, int]] = {name: {} for name in _BY}

    def count(self, event: ObserverEvent) -> None:
        """Count one event."""
        with self._lock:
            self._total += 1
            for name in _BY:
                value = getattr(event, name)
                if value is None:
                    continue
                counts = self._by[name]
                key = value if value in counts or len(counts) < MAX_NAMES else OTHERS
                counts[key] = counts.get(key, 0) + 1

    def count_lost(self, events: int) -> None:
        """Count events that could not be written down."""
        with self._lock:
            self._persist_errors += events

    def document(self, *, in_ring: int, dropped: int) -> dict[str, Any]:
        """As answers show it.

        Args:
            in_ring: How many events the ring holds.
            dropped: How many it has dropped.
        """
        with self._lock:
            shown: Mapping[str, Any] = {f"by_{name}": dict(sorted(counts.items())) for name, counts in self._by.items()}
            return {
                "total": self._total,
                "in_ring": in_ring,
                "dropped": dropped,
                "persist_errors": self._persist_errors,
                **shown,
            }
