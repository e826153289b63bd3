"""The retrieval side of the API: corpora, playbooks, searches, and the order in which they open and close.

Belongs here: their lifetimes, waiting for revisions. Not here: which adapter serves which (see compose_retrieval.py).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from lakehouse.adapters.gathered_searches import GatheredSearches
from lakehouse.retrieval.search_service import SearchService
from lakehouse.retrieval.trace import TraceSigner
from lakehouse_api.background import end_task

if TYPE_CHECKING:
    from lakehouse.adapters.corpora import Corpora
    from lakehouse.adapters.memory_log import MemoryLog
    from lakehouse.retrieval.playbook import PlaybookBook
    from lakehouse.retrieval.playbook_desk import PlaybookDesk
    from lakehouse.retrieval.search_config import SearchConfig
    from lakehouse_api.live_config import LiveConfig


_CATCH_UP_S = 2.0


@dataclass(slots=True)
class Retrieval:
    """What the retrieval routes work with."""

    corpora: Corpora
    log: MemoryLog
    book: PlaybookBook
    desk: PlaybookDesk
    search: SearchService
    signer: TraceSigner
    live_config: LiveConfig[SearchConfig]
    gathered: GatheredSearches = field(default_factory=GatheredSearches)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open everything without waiting for the store, and close it in reverse order."""
        async with contextlib.AsyncExitStack() as stack:
            self.corpora.start()
            stack.push_async_callback(anyio.to_thread.run_sync, self.corpora.stop)
            starting = asyncio.create_task(anyio.to_thread.run_sync(self.log.start))
            stack.push_async_callback(self._stop_log, starting)
            for work in (self.live_config.watch(), self.corpora.warm(), self._catch_up()):
                stack.push_async_callback(end_task, asyncio.create_task(work))
            yield

    async def wait_for(self, revision: str) -> None:
        """Return when a write is visible here: `<index>@<revision>` of an index, else one of the memory log.

        Raises:
            BadInput: It is no revision.
            NotFound: It is of an index that is not there.
            Unavailable: It did not get here within 2 s.
        """
        name, is_index, position = revision.partition("@")
        if is_index:
            await self.corpora.wait_for(name, position)
        else:
            await self.log.wait_for(revision)

    def require_memory(self) -> None:
        """Refuse what the memory log must answer for, until this process has read it.

        Raises:
            Unavailable: It has not.
        """
        self.log.require_replayed()

    def stats(self) -> dict[str, Any]:
        """What `/health` and `/metrics` show."""
        return {"playbooks": self.log.stats(), "corpora": self.corpora.stats()}

    async def _catch_up(self) -> None:
        """Make entries findable whose queries could not be embedded when they came, once the embedder answers."""
        while True:
            await asyncio.sleep(_CATCH_UP_S)
            if self.book.unplaced:
                await anyio.to_thread.run_sync(self.book.catch_up)

    async def _stop_log(self, starting: asyncio.Task[None]) -> None:
        with contextlib.suppress(Exception):  # a failed start has been logged already
            await starting
        await anyio.to_thread.run_sync(self.log.stop)
