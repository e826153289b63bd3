"""The live configs of this process: looked for every second, and kept when the store does not answer.

Belongs here: keeping them fresh. Not here: versions (see lakehouse/retrieval/config_store.py), what they mean (see
lakehouse/retrieval/search_config.py, lakehouse/answer/config.py).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Generic

import anyio.to_thread
import structlog

from lakehouse.answer.config import ANSWER, AnswerConfig
from lakehouse.errors import LakehouseError
from lakehouse.retrieval.config_store import ConfigKind, ConfigStore, ConfigT, ConfigVersion
from lakehouse.retrieval.search_config import SEARCH, SearchConfig

_EVERY_S = 1.0
_log = structlog.get_logger("lakehouse.config")


class LiveConfig(Generic[ConfigT]):
    """The config that serves; a damaged version is refused, and the one before goes on serving."""

    def __init__(self, store: ConfigStore, kind: ConfigKind[ConfigT]) -> None:
        self.kind = kind
        self._store = store
        self.version = 0
        self.config = kind.default

    @property
    def version_name(self) -> str:
        """What answers call it."""
        return self.kind.version_name(self.version)

    def take(self, version: ConfigVersion) -> None:
        """Serve under a version from now on."""
        self.config = self.kind.read(version.document)
        self.version = version.version

    async def watch(self) -> None:
        """Follow the live pointer until cancelled."""
        told: str | None = None
        while True:
            try:
                live = await anyio.to_thread.run_sync(self._store.live, self.kind.name, abandon_on_cancel=True)
                if live.version != self.version:
                    self.take(live)
                told = None
            except LakehouseError as error:
                if error.detail != told:
                    told = error.detail
                    _log.warning("the live config was not read; the last one serves", reason=error.detail)
            await asyncio.sleep(_EVERY_S)


@dataclass(slots=True)
class LiveConfigs:
    """Every config there is."""

    search: LiveConfig[SearchConfig]
    answer: LiveConfig[AnswerConfig]

    @classmethod
    def of(cls, store: ConfigStore) -> LiveConfigs:
        """All of them at their defaults."""
        return cls(LiveConfig(store, SEARCH), LiveConfig(store, ANSWER))

    @property
    def by_name(self) -> dict[str, LiveConfig[Any]]:
        """The same by their names."""
        return {live.kind.name: live for live in (self.search, self.answer)}
