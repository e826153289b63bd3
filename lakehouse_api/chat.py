"""The chat side of the API: its providers, its meter, and the order in which they open and close.

Belongs here: their lifetimes, the lines of `chat_calls`. Not here: which provider serves which model (see
lakehouse/chat), the routes (see routes/chat.py).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import structlog

from lakehouse.chat.call_log import without_texts
from lakehouse.chat.reach import Reach
from lakehouse.chat.service import ChatService
from lakehouse.errors import BadInput, LakehouseError
from lakehouse_api.background import end_task
from lakehouse_api.metrics import Metrics

if TYPE_CHECKING:
    from lakehouse.adapters.event_log import EventLog
    from lakehouse.adapters.usage_file import UsageFile
    from lakehouse.events import DiskWatch

_SAVE_EVERY_S = 1.0
_log = structlog.get_logger("lakehouse.chat")


@dataclass(slots=True)
class Chat:
    """What the chat routes work with; `default_model` is asked where a request names none."""

    service: ChatService
    reach: Reach
    usage: UsageFile
    calls: ChatCalls
    default_model: str

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load what was spent before, and save what is spent every second and at the end."""
        await anyio.to_thread.run_sync(self.usage.load)
        saving = asyncio.create_task(self._save())
        try:
            yield
        finally:
            await self.service.close()
            await end_task(saving)
            await anyio.to_thread.run_sync(self.usage.save)

    async def _save(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_EVERY_S)
            await anyio.to_thread.run_sync(self.usage.save)


class ChatCalls:
    """Writes the lines of `chat_calls`; a call that was made is answered even when the log refuses its line."""

    def __init__(self, events: EventLog, disk: DiskWatch, metrics: Metrics) -> None:
        self.events = events
        self.disk = disk
        self._metrics = metrics

    def require_room(self) -> None:
        """See `CallLog`."""
        self.disk.require_space()
        self.events.require_room()

    async def write(self, line: Mapping[str, Any], *, is_durable: bool) -> None:
        """See `CallLog`."""
        self._metrics.count_chat(line)
        try:
            try:
                await self.events.append("chat_calls", line, durable=is_durable)
            except BadInput:  # the line is too large: it is kept without the texts
                await self.events.append("chat_calls", without_texts(line), durable=is_durable)
        except LakehouseError as error:
            self._metrics.lost_audits.inc()
            with contextlib.suppress(KeyError):
                _log.warning("chat line lost", reason=error.detail, run_id=line["run_id"])
