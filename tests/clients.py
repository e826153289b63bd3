"""Both Python clients with one face for tests: the asynchronous one runs on an event loop in a thread."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from lakehouse.client import AsyncClient, Client

KINDS = ("sync", "async")


@contextlib.contextmanager
def opened_client(kind: str, url: str, token: str | None = None, **options: Any) -> Iterator[Any]:
    """A `Client`, or what behaves like one and is an `AsyncClient`."""
    if kind == "sync":
        with Client(url, token, **options) as client:
            yield client
        return
    with start_blocking_portal("asyncio") as portal:
        client = portal.call(_made, url, token, options)
        try:
            yield _Blocking(client, portal)
        finally:
            portal.call(client.aclose)


async def _made(url: str, token: str | None, options: dict[str, Any]) -> AsyncClient:
    return AsyncClient(url, token, **options)


class _Blocking:
    """An object whose coroutine methods block, and whose asynchronous generators are generators."""

    def __init__(self, target: Any, portal: BlockingPortal) -> None:
        self._target = target
        self._portal = portal

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return _Blocking(found, self._portal)

        def method(*args: Any, **kwargs: Any) -> Any:
            if inspect.isasyncgenfunction(found):
                return self._generated(found(*args, **kwargs))

            async def run() -> Any:
                return await found(*args, **kwargs)

            return self._portal.call(run)

        return method

    def _generated(self, generator: Any) -> Iterator[Any]:
        async def step() -> Any:
            return await anext(generator, None)

        try:
            while (value := self._portal.call(step)) is not None:
                yield value
        finally:
            self._portal.call(generator.aclose)
