"""A child process of the API, started while Lance is loaded, as uvloop starts it."""

from __future__ import annotations

import asyncio
import importlib
import sys

import uvloop


def test_child_under_uvloop_with_lance_loaded_starts_without_an_error() -> None:
    importlib.import_module("lance")

    async def start() -> int:
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
        return await child.wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(start()) == 0
