"""What is read from the store, while it hangs: told at once, and not after all tries of a call, a minute later.

Calls that wait for a store which hangs would also take the threads that others need.

Belongs here: whether the store answers, reads that are given up. Not here: what is read of it (see routes/, ui/), what
goes on from memory (see ui/answers.py, catalog_view.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread
from fastapi import Depends

from lakehouse.errors import StoreUnavailable
from lakehouse_api.dependencies import ServicesDep
from lakehouse_api.services import Services

SILENT_AFTER_S = 15.0
"""So long nothing was heard of a store that hangs, and of one that is only slow something was."""
_PATIENCE_S, _LOOK_S = 2.0, 0.1
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


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
        raise _silence()


async def run_while_answering(
    services: Services,
    function: Callable[Parameters, Result],
    /,
    *args: Parameters.args,
    **kwargs: Parameters.kwargs,
) -> Result:
    """Run a store call as `run_blocking` does, and give it up once the store hangs.

    What has begun goes on in its thread, so that it must be a read, or a write that may be sent again.

    Raises:
        StoreUnavailable: The store hangs.
    """
    call = partial(function, *args, **kwargs)
    work = asyncio.ensure_future(anyio.to_thread.run_sync(call, limiter=services.threads, abandon_on_cancel=True))
    try:
        while not work.done():
            await asyncio.wait([work], timeout=_LOOK_S)
            if not work.done() and is_hanging(services):
                raise _silence()
        return work.result()
    finally:
        work.cancel()


def _silence() -> StoreUnavailable:
    return StoreUnavailable(
        "the object store did not answer for a while, and this is read from it; try again when Health says that the"
        " store is ok",
        retry_after_s=5,
    )


async def _answering(services: ServicesDep) -> None:
    await require_answering(services)


ANSWERING_STORE = Depends(_answering)
