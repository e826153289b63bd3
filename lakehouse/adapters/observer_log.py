"""Writing observer events: into the ring at once, and into the event log in batches.

The events that come while a batch is written are the next batch. A refused batch is logged and counted, and its events
stay in the ring, as an observer must not stop what it observes. With `persist_required` a sender waits until its event
is on disk, and gets an error when it is not.

Belongs here: batches, what becomes of a refusal. Not here: the ring (see lakehouse/observer), the log (see
event_log.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

import structlog

from lakehouse.errors import LakehouseError, Unavailable
from lakehouse.observer.event import STREAM, ObserverEvent
from lakehouse.observer.ring import EventRing
from lakehouse.observer.stats import ObserverStats

BATCH = 500
MAX_WAITING = 20_000
"""So many events may wait for the disk; more would be kept in memory for a disk that does not keep up."""
_log = structlog.get_logger("lakehouse.observer")


class Appends(Protocol):
    """The event log, as far as it is needed here."""

    async def append(self, stream: str, line: Mapping[str, Any], *, durable: bool = True) -> str:
        """See `EventLog`."""


class ObserverLog:
    """Takes events for one process and one event loop.

    Args:
        events: The event log.
        ring: Where the latest are kept.
        stats: What is counted.
        persist_required: Whether an event that is not on disk is refused.
    """

    def __init__(
        self, events: Appends, ring: EventRing, stats: ObserverStats, *, persist_required: bool = False
    ) -> None:
        self.events = events
        self.ring = ring
        self.stats = stats
        self._persist_required = persist_required
        self._waiting: deque[ObserverEvent] = deque()
        self._wake = asyncio.Event()
        self._begun: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write batches until the end, and what is left then."""
        writing = asyncio.create_task(self._write())
        try:
            yield
        finally:
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing
            if self._begun is not None:
                await self._begun
            while self._waiting:
                await self._write_batch()

    async def put(self, event: ObserverEvent) -> None:
        """Take an event.

        Raises:
            InsufficientStorage, Unavailable: It could not be written, and that is required; it is not kept then.
        """
        if self._persist_required:
            try:
                await self.events.append(STREAM, event.line())
            except LakehouseError:
                self.stats.count_lost(1)
                raise
            self._keep(event)
            return
        self._keep(event)
        if len(self._waiting) >= MAX_WAITING:
            self._lose(1, Unavailable("the disk does not keep up with the events"))
            return
        self._waiting.append(event)
        self._wake.set()

    def document(self) -> dict[str, Any]:
        """The counts, as answers show them."""
        return self.stats.document(in_ring=len(self.ring), dropped=self.ring.dropped)

    def _keep(self, event: ObserverEvent) -> None:
        self.ring.put(event)
        self.stats.count(event)

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._write_batch()

    async def _write_batch(self) -> None:
        """One group: the event log makes it durable together. One that is begun is seen through, and counted."""
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        self._begun = asyncio.create_task(self._append(batch))
        await asyncio.shield(self._begun)

    async def _append(self, batch: Sequence[ObserverEvent]) -> None:
        appends = [self.events.append(STREAM, event.line()) for event in batch]
        written = await asyncio.gather(*appends, return_exceptions=True)
        refusals = [one for one in written if isinstance(one, BaseException)]
        if refusals:
            self._lose(len(refusals), refusals[0])

    def _lose(self, events: int, reason: BaseException) -> None:
        self.stats.count_lost(events)
        said = reason.detail if isinstance(reason, LakehouseError) else repr(reason)
        _log.warning("observer events were not written down", events=events, reason=said)
