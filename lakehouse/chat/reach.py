"""Which providers can be reached, and what models they have.

Belongs here: asking them together, and remembering the answers for a while. Not here: chatting (see service.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lakehouse.chat.provider import ChatProvider
from lakehouse.errors import LakehouseError

_KEPT_S = 10.0


@dataclass(frozen=True, slots=True)
class Reached:
    """One provider: set up or not, reachable or not (None when it was not asked), its models, why not."""

    name: str
    is_configured: bool
    is_reachable: bool | None
    models: Sequence[str] = ()
    error: str | None = None


class Reach:
    """Asks providers for their models, at most every ten seconds.

    Args:
        providers: By their names.
    """

    def __init__(self, providers: Mapping[str, ChatProvider]) -> None:
        self._providers = providers
        self._found: list[Reached] = []
        self._asked_s: float | None = None
        self._asking = asyncio.Lock()

    async def all(self) -> Sequence[Reached]:
        """Every provider, in the order they were given."""
        async with self._asking:
            if self._asked_s is None or time.monotonic() - self._asked_s > _KEPT_S:
                self._found = list(await asyncio.gather(*(_ask(name, p) for name, p in self._providers.items())))
                self._asked_s = time.monotonic()
            return self._found


async def _ask(name: str, provider: ChatProvider) -> Reached:
    if not provider.is_configured:
        return Reached(name, is_configured=False, is_reachable=None, error=provider.missing)
    try:
        models = await provider.models()
    except LakehouseError as error:
        return Reached(name, is_configured=True, is_reachable=False, error=error.detail)
    return Reached(name, is_configured=True, is_reachable=True, models=models)
