"""Work that is cancelled when its client goes away.

Belongs here: watching the connection while an answer is made. Not here: streams, which notice by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

Result = TypeVar("Result")
CLIENT_CLOSED_REQUEST = 499
"""The status in logs of a request whose client went away; nginx's number, as HTTP has none. Nobody reads the answer."""


class Connection(Protocol):
    """A request, or what else knows when its client goes away."""

    @property
    def receive(self) -> Receive:
        """Gives the next message of the connection."""


async def while_connected(connection: Connection, work: Coroutine[Any, Any, Result]) -> Result:
    """Await `work`, and cancel it when the client disconnects; the request's body must have been read.

    Raises:
        ClientDisconnect: Nobody waits for the result any more.
    """
    working = asyncio.current_task()
    assert working is not None
    leaving = asyncio.ensure_future(_disconnected(connection.receive, working))
    try:
        return await work
    except asyncio.CancelledError:
        if leaving.done() and working.uncancel() == 0:
            raise ClientDisconnect from None
        raise
    finally:
        leaving.cancel()


async def _disconnected(receive: Receive, working: asyncio.Task[Any]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    working.cancel()
