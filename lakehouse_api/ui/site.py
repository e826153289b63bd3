"""Everything the pages hold for the life of the process.

Belongs here: the parts, their order of opening and closing, links to Dagster. Not here: routes (see the pages).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio.to_thread
import structlog
from starlette.types import Scope

from lakehouse.adapters.trace_key import load_or_make_trace_key
from lakehouse_api.background import end_task
from lakehouse_api.request_headers import header
from lakehouse_api.ui.door import PageDoor
from lakehouse_api.ui.facets import FacetCounter
from lakehouse_api.ui.history import History
from lakehouse_api.ui.jobs import Jobs
from lakehouse_api.ui.results import Results
from lakehouse_api.ui.sessions import Sessions

if TYPE_CHECKING:
    from lakehouse.settings import Settings
    from lakehouse_api.services import Services

_SWEEP_S = 600
_log = structlog.get_logger("lakehouse.ui")


@dataclass(slots=True)
class Site:
    """What pages work with besides the services. One chart is drawn at a time: drawing takes a whole core."""

    settings: Settings
    is_open: bool
    sessions: Sessions
    door: PageDoor
    results: Results
    history: History
    jobs: Jobs
    facets: FacetCounter = field(default_factory=FacetCounter)
    pens: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(1))

    @classmethod
    def of(cls, services: Services) -> Site:
        """The pages of an API; nothing is opened yet."""
        sessions = Sessions(load_or_make_trace_key(services.settings))
        kept, keep_s = services.settings.data_dir / "pages", services.settings.ui_keep_hours * 3600
        return cls(
            settings=services.settings,
            is_open=services.auth.is_open,
            sessions=sessions,
            door=PageDoor(services.auth, sessions),
            results=Results(kept / "results", keep_s=keep_s),
            history=History(kept / "history", keep_s=keep_s),
            jobs=Jobs(kept / "jobs", keep_s=keep_s),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open and close what pages hold."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.jobs.running())
            stack.push_async_callback(end_task, asyncio.create_task(self._sweep()))
            yield

    async def _sweep(self) -> None:
        """Take away what is too old, also where nobody comes by any more."""
        while True:
            for kept in (self.results, self.history, self.jobs):
                try:
                    await anyio.to_thread.run_sync(kept.expire)
                except OSError as error:
                    _log.warning("what is too old could not be taken away", reason=error.strerror)
            await asyncio.sleep(_SWEEP_S)

    def dagster_url(self, scope: Scope) -> str:
        """Where the browser finds Dagster: the setting, or this page's host with Dagster's port."""
        if self.settings.dagster_url is not None:
            return self.settings.dagster_url.rstrip("/")
        host = header(scope, b"host") or "127.0.0.1"
        name = host[: host.rindex("]") + 1] if host.startswith("[") else host.partition(":")[0]
        return f"http://{name}:{self.settings.dagster_port}"
