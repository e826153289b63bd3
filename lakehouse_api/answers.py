"""The answering side of the API: the loop in one call, its config, and validation inside it.

Belongs here: its lifetime, which config a request runs under, lines of validations. Not here: the loop (see
lakehouse/answer/service.py), the route (see routes/answers.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import structlog

from lakehouse.answer.config import ANSWER, AnswerConfig
from lakehouse.chat.call_log import Caller
from lakehouse.clock import new_id
from lakehouse.errors import LakehouseError
from lakehouse.validation import Verdict
from lakehouse.validation.log_line import validation_line
from lakehouse_api.background import end_task
from lakehouse_api.validating import validate_artifact

if TYPE_CHECKING:
    from lakehouse.adapters.event_log import EventLog
    from lakehouse.adapters.roster import StoredRoster
    from lakehouse.answer.service import AnswerService
    from lakehouse.retrieval.config_store import ConfigStore
    from lakehouse_api.live_config import LiveConfig

_log = structlog.get_logger("lakehouse.answers")


@dataclass(slots=True)
class Answers:
    """What the answer route works with."""

    service: AnswerService
    live_config: LiveConfig[AnswerConfig]
    validator: LoggedValidator

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the live config."""
        watching = asyncio.create_task(self.live_config.watch())
        try:
            yield
        finally:
            await end_task(watching)


class AnswerConfigs:
    """The config of a request: the live one, or a version that it names."""

    def __init__(self, store: ConfigStore, live: LiveConfig[AnswerConfig]) -> None:
        self._store = store
        self._live = live

    async def get(self, version: int | None) -> tuple[AnswerConfig, int]:
        """The config and its version.

        Raises:
            NotFound: There is no such version.
        """
        if version is None or version == self._live.version:
            return self._live.config, self._live.version
        stored = await anyio.to_thread.run_sync(self._store.get, ANSWER.name, version)
        return ANSWER.read(stored.document), version


class LoggedValidator:
    """Validates what a model answered, and logs the verdict to the stream `validations`."""

    def __init__(self, events: EventLog, roster: StoredRoster) -> None:
        self.events = events
        self._roster = roster

    async def validate(
        self, kind: str, artifact: Mapping[str, Any], context: Mapping[str, Any], caller: Caller
    ) -> Verdict:
        """Validate one artifact; a line that the log does not take is reported, and the verdict stands."""
        verdict = await validate_artifact(kind, artifact, context, roster=self._roster)
        line = validation_line(
            verdict, artifact, context, run_id=new_id(), trace_id=caller.request_id, task_id=caller.task_id,
            actor=caller.actor,
        )  # fmt: skip
        try:
            await self.events.append("validations", {**line, "config_version": caller.config_version})
        except LakehouseError as error:  # the model has answered already, and its answer is worth more than the line
            _log.warning("validation line lost", reason=error.detail)
        return verdict
