"""The pathway side of the API: traces, their log, and the order in which they open and close.

Belongs here: lifetimes, waiting for revisions. Not here: which adapter serves which (see compose_pathways.py).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from lakehouse_api.background import end_task

if TYPE_CHECKING:
    from lakehouse.adapters.memory_log import MemoryLog
    from lakehouse.adapters.trace_index import HotTraceIndex
    from lakehouse.pathway.book import PathwayBook
    from lakehouse.pathway.desk import PathwayDesk
    from lakehouse.pathway.recall import RecentlyRecalled
    from lakehouse.pathway.search import Found, PathwaySearch, PathwaySearcher

_CATCH_UP_S = 2.0


@dataclass(slots=True)
class Pathways:
    """What the pathway routes work with."""

    log: MemoryLog
    book: PathwayBook
    index: HotTraceIndex
    desk: PathwayDesk
    searcher: PathwaySearcher
    recalled: RecentlyRecalled

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read the past without waiting for the store, follow it, and end."""
        starting = asyncio.create_task(anyio.to_thread.run_sync(self.log.start))
        catching_up = asyncio.create_task(self._catch_up())
        try:
            yield
        finally:
            await end_task(catching_up)
            with contextlib.suppress(Exception):  # a failed start has been logged already
                await starting
            await anyio.to_thread.run_sync(self.log.stop)

    async def search(self, asked: PathwaySearch, *, actor: str) -> list[Found]:
        """Search, and remember what was given to whom: it is not learned when it comes back.

        Raises:
            BadInput: The text is blank.
            Unavailable: The log has not been read yet, or the embedder does not answer.
        """
        self.require_memory()
        found = await self.searcher.search(asked)
        self.recalled.give((one.trace.uid for one in found), actor=actor)
        return found

    def require_memory(self) -> None:
        """Refuse what the memory log must answer for, until this process has read it.

        Raises:
            Unavailable: It has not.
        """
        self.log.require_replayed()

    def index_numbers(self) -> dict[str, int]:
        """What `/health` shows of the index: rows, those that are compared one by one, bytes."""
        stats = self.index.stats()
        return {
            "index_rows": stats.get("rows", 0),
            "index_uncoded_rows": stats.get("uncoded_rows", 0),
            "index_bytes": stats.get("bytes", 0),
        }

    async def _catch_up(self) -> None:
        """Make searchable what could not be embedded when it came, as soon as the embedder answers."""
        while True:
            await asyncio.sleep(_CATCH_UP_S)
            if self.book.has_unstored:
                await anyio.to_thread.run_sync(self.book.catch_up)

    def stats(self) -> dict[str, Any]:
        """Counts of traces, adds and links."""
        traces = self.book.traces()
        current = sum(self.book.is_current(trace.uid) for trace in traces)
        retired = sum(trace.is_retired for trace in traces)
        counts = dict(self.book.counts)
        links = {kind: counts[kind] for kind in ("exact", "near", "recalled")}
        links["recalled"] += self.recalled.unknown
        came = counts["adds"] + sum(links.values())
        return {
            "traces": len(traces),
            "current": current,
            "revised": len(traces) - current - retired,
            "retired": retired,
            "adds": came,
            "replays": counts["replays"],
            "links": links,
            "duplicate_rate": round(sum(links.values()) / max(1, came), 6),
            "recall_of_self_rate": round(links["recalled"] / max(1, came), 6),
        }
