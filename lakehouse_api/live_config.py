"""The live search config of this process: looked for every second, and kept when the store does not answer.

Belongs here: keeping it fresh. Not here: versions (see lakehouse/retrieval/config_store.py).
"""

from __future__ import annotations

import asyncio

import anyio.to_thread
import structlog

from lakehouse.errors import LakehouseError
from lakehouse.retrieval.config_store import ConfigStore, ConfigVersion
from lakehouse.retrieval.search_config import NAME, SearchConfig, parse_search_config, version_name

_EVERY_S = 1.0
_log = structlog.get_logger("lakehouse.config")


class LiveConfig:
    """The config that searches run under; a damaged version is refused, and the one before goes on serving."""

    def __init__(self, store: ConfigStore) -> None:
        self._store = store
        self._version = 0
        self.config = SearchConfig()

    @property
    def version_name(self) -> str:
        """What answers call it."""
        return version_name(self._version)

    def take(self, version: ConfigVersion) -> None:
        """Serve under a version from now on."""
        self.config = parse_search_config(version.document)
        self._version = version.version

    async def watch(self) -> None:
        """Follow the live pointer until cancelled."""
        told: str | None = None
        while True:
            try:
                live = await anyio.to_thread.run_sync(self._store.live, NAME, abandon_on_cancel=True)
                if live.version != self._version:
                    self.take(live)
                told = None
            except LakehouseError as error:
                if error.detail != told:
                    told = error.detail
                    _log.warning("the live config was not read; the last one serves", reason=error.detail)
            await asyncio.sleep(_EVERY_S)
