"""Tasks in the background of the API.

Belongs here: ending them. Not here: what they do.
"""

from __future__ import annotations

import asyncio
import contextlib


async def end_task(task: asyncio.Task[None]) -> None:
    """Cancel a background task and wait until it has put away what it holds."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
