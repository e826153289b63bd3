"""Waiting for a part of a request's body with a timeout; a timer is set only when the part is not there yet.

Belongs here: `receive_within`, `receive_at_pace`. Not here: how large a body may be (see middleware_body.py), how long
clients may take (see limits.py).
"""

from __future__ import annotations

import asyncio
import time
import types
from collections.abc import Coroutine, Generator
from typing import Any

from starlette.types import Message, Receive

from lakehouse_api.limits import BodyPace


async def receive_at_pace(receive: Receive, pace: BodyPace) -> Message:
    """The next message of a request whose client is not slower than it may be.

    Raises:
        BodyTimeout: It is.
    """
    begun_s = time.monotonic()
    try:
        message = await receive_within(receive, pace.left_s)
    except TimeoutError:
        raise pace.timeout() from None
    pace.took(time.monotonic() - begun_s, len(message.get("body", b"")))
    return message


async def receive_within(receive: Receive, seconds: float) -> Message:
    """The next message of a request.

    Args:
        receive: As ASGI gives it.
        seconds: Longest wait.

    Raises:
        TimeoutError: Nothing came.
    """
    begun = receive()
    if not isinstance(begun, Coroutine):
        return await asyncio.wait_for(begun, seconds)
    try:
        # Stepped by hand: mostly the message has come with the head, and the coroutine ends in this first step.
        waits_for = begun.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    async with asyncio.timeout(seconds):
        return await _go_on(begun, waits_for)


@types.coroutine
def _go_on(begun: Coroutine[Any, Any, Message], waits_for: Any) -> Generator[Any, Any, Message]:
    """Drive the rest of a coroutine that has been begun; exceptions thrown into this one are passed on to it."""
    try:
        while True:
            try:
                sent = yield waits_for
            except BaseException as error:
                waits_for = begun.throw(error)
            else:
                waits_for = begun.send(sent)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
