"""Pages that are read from the store, while it hangs: told at once, and not after all tries of a call, a minute later.

Belongs here: whether the store answers. Not here: what pages read of it (see each), what goes on from memory (see
answers.py).
"""

from __future__ import annotations

import anyio
from fastapi import Depends

from lakehouse.errors import StoreUnavailable
from lakehouse_api.dependencies import ServicesDep
from lakehouse_api.services import Services

SILENT_AFTER_S = 15.0
"""So long nothing was heard of a store that hangs, and of one that is only slow something was."""
_PATIENCE_S = 2.0


def is_hanging(services: Services) -> bool:
    """Whether the store has not answered for long; the watcher of the catalog asks it twice a second."""
    age_s = services.watcher.age_s
    return services.watcher.is_stale or age_s is None or age_s > SILENT_AFTER_S


async def require_answering(services: Services, *, patience_s: float = _PATIENCE_S) -> None:
    """Wait a moment for a store that answers.

    Raises:
        StoreUnavailable: It does not.
    """
    with anyio.move_on_after(patience_s):
        while is_hanging(services):  # also of a process that has just started
            await anyio.sleep(0.02)
    if is_hanging(services):
        raise StoreUnavailable(
            "the object store does not answer, and this page is read from it; load it again when Health says that the"
            " store is ok",
            retry_after_s=5,
        )


async def _answering(services: ServicesDep) -> None:
    await require_answering(services)


ANSWERING_STORE = Depends(_answering)
