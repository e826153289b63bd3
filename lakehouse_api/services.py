"""Everything the API holds open, and the order in which it opens and closes.

Belongs here: the lifetimes. Not here: which adapter serves which capability (see compose.py), HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import structlog

from lakehouse.errors import LakehouseError
from lakehouse_api.access_log import AccessLog
from lakehouse_api.auth import Authenticator
from lakehouse_api.background import end_task
from lakehouse_api.limits import Gate
from lakehouse_api.metrics import Metrics

if TYPE_CHECKING:
    from lakehouse.adapters.conversion import ConversionProcess
    from lakehouse.adapters.drift_desk import DriftDesk
    from lakehouse.adapters.embedding_service import EmbeddingService
    from lakehouse.adapters.event_log import EventLog
    from lakehouse.adapters.objects import S3ObjectStore
    from lakehouse.adapters.observer_log import ObserverLog
    from lakehouse.adapters.roster import StoredRoster
    from lakehouse.adapters.sql_pool import SqlPool
    from lakehouse.catalog.register import Registrar
    from lakehouse.catalog.service import Catalog
    from lakehouse.catalog.snapshot import CatalogWatcher
    from lakehouse.events import DiskWatch
    from lakehouse.ingest import Ingester
    from lakehouse.retrieval.config_store import ConfigStore
    from lakehouse.settings import Settings
    from lakehouse_api.answers import Answers
    from lakehouse_api.chat import Chat
    from lakehouse_api.lineage import Lineages
    from lakehouse_api.live_config import LiveConfigs
    from lakehouse_api.pathways import Pathways
    from lakehouse_api.retrieval import Retrieval
    from lakehouse_api.triage import Triage
    from lakehouse_api.workflows import Workflows

STORE_THREADS = 32
_log = structlog.get_logger("lakehouse.services")


@dataclass(slots=True)
class Services:
    """What routes work with. `threads` bounds blocking calls; `work_dir` is this process's own folder for spools."""

    settings: Settings
    objects: S3ObjectStore
    catalog: Catalog
    registrar: Registrar
    watcher: CatalogWatcher
    converter: ConversionProcess
    ingester: Ingester
    sql: SqlPool
    embedding: EmbeddingService
    events: EventLog
    disk: DiskWatch
    auth: Authenticator
    metrics: Metrics
    access_log: AccessLog
    configs: ConfigStore
    live_configs: LiveConfigs
    retrieval: Retrieval
    pathways: Pathways
    chat: Chat
    answers: Answers
    lineage: Lineages
    drift: DriftDesk
    observer: ObserverLog
    workflows: Workflows
    triage: Triage
    roster: StoredRoster
    work_dir: Path
    put_gate: Gate
    ingest_gate: Gate
    threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(STORE_THREADS))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open everything, and close it in reverse order; neither waits for a store that is away."""
        async with contextlib.AsyncExitStack() as stack:
            self.work_dir.mkdir(parents=True, exist_ok=True)
            stack.callback(shutil.rmtree, self.work_dir, ignore_errors=True)
            stack.callback(self.access_log.flush)
            await anyio.to_thread.run_sync(self.events.start)
            stack.push_async_callback(anyio.to_thread.run_sync, self.events.stop)
            self.watcher.start()
            stack.push_async_callback(anyio.to_thread.run_sync, self.watcher.stop)
            self.roster.start()
            stack.push_async_callback(anyio.to_thread.run_sync, self.roster.stop)
            stack.callback(self.converter.close)
            stack.callback(self.embedding.close)
            await self.sql.start()
            stack.push_async_callback(self.sql.stop)
            await stack.enter_async_context(self.retrieval.running())
            await stack.enter_async_context(self.pathways.running())
            await stack.enter_async_context(self.chat.running())
            await stack.enter_async_context(self.answers.running())
            await stack.enter_async_context(self.lineage.running())
            await stack.enter_async_context(self.observer.running())
            stack.push_async_callback(end_task, asyncio.create_task(self._make_bucket()))
            yield

    def require_writable(self) -> None:
        """Refuse a write, before anything of it is done, that the disk or the event log could not take.

        Raises:
            InsufficientStorage: The disk is full, or refuses lines of the event log.
            Unavailable: The event log has no room.
        """
        self.disk.require_space()
        self.events.require_room()

    async def _make_bucket(self) -> None:
        """Make the bucket if it is missing; tried again until the store answers."""
        while True:
            try:
                await anyio.to_thread.run_sync(self.objects.ensure_bucket, limiter=self.threads, abandon_on_cancel=True)
            except LakehouseError as error:
                _log.warning("store not ready", reason=error.detail)
                await asyncio.sleep(1)
            else:
                return


def process_work_dir(data_dir: Path) -> Path:
    """This process's folder for spools; those that killed processes have left are removed."""
    root = data_dir / "tmp"
    for left in root.glob("api-*"):
        pid = left.name.removeprefix("api-")
        if pid.isdecimal() and not _is_alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    return root / f"api-{os.getpid()}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
