"""The route `/mcp` and the lifetime of what answers it.

Loading the SDK takes 0.4 s and some 20 MiB, and many installations never use it, so the first request loads it, in a
thread.

Belongs here: loading, opening, closing; what is no POST. Not here: the protocol (see server.py), the door.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio.to_thread
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakehouse_api.background import end_task
from lakehouse_api.errors import render

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    from lakehouse_api.services import Services

GONE = "is_client_gone"


@dataclass(frozen=True, slots=True)
class McpRoute:
    """What logs and metrics call a request: `/mcp`, or the tool that it calls."""

    name: str = "mcp"
    path_format: str = "/mcp"


class McpEndpoint:
    """Answers `/mcp` while `running()` is open; every request stands for itself, so that any process may take it.

    Args:
        services: What the tools work with.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._is_wanted = asyncio.Event()
        self._opened: asyncio.Future[ASGIApp] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Be ready to open at the first request, and close what was opened."""
        self._is_wanted.clear()
        self._opened = asyncio.get_running_loop().create_future()
        # A task of its own: the manager's task group must be closed by the task that has opened it.
        serving = asyncio.create_task(self._serve(self._opened))
        try:
            yield
        finally:
            await end_task(serving)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = McpRoute()
        if scope["method"] != "POST":
            # There are no sessions and no messages from the server, so there is nothing to GET.
            detail = "messages come by POST; there are no sessions and no streams here"
            refused = render(scope, 405, "Method not allowed", detail, headers={"Allow": "POST"})
            await refused(scope, receive, send)
            return
        if self._opened is None:
            raise RuntimeError("the endpoint is asked before it runs")
        self._is_wanted.set()
        answer = await asyncio.shield(self._opened)

        async def send_to_who_is_there(message: Message) -> None:
            if not scope["state"].get(GONE):
                await send(message)

        await answer(scope, receive, send_to_who_is_there)
        if scope["state"].get(GONE):
            raise ClientDisconnect

    async def _serve(self, opened: asyncio.Future[ASGIApp]) -> None:
        try:
            await self._is_wanted.wait()
            manager = await anyio.to_thread.run_sync(_load, self._services)
            async with manager.run():
                opened.set_result(manager.handle_request)
                await asyncio.get_running_loop().create_future()
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)  # raised to waiting and to later requests
        finally:
            opened.cancel()


def _load(services: Services) -> StreamableHTTPSessionManager:
    from lakehouse_api.mcp.server import make_manager

    return make_manager(services)
