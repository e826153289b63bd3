"""Answering the callers that wait for a group a thread has written: one wake-up per event loop, not one per caller.

Belongs here: who waits, and how many of them are told. Not here: groups (see event_queue.py, memory_writer.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Generic, TypeVar

import msgspec

Answer = TypeVar("Answer")


class Waiter(msgspec.Struct, Generic[Answer], frozen=True):
    """Somebody who waits: a coroutine of `loop`, or a thread where there is none."""

    future: asyncio.Future[Answer] | Future[Answer]
    loop: asyncio.AbstractEventLoop | None


def coroutine_waiter() -> tuple[Waiter[Any], asyncio.Future[Any]]:
    """A waiter for the running coroutine, and what it awaits."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    return Waiter(future, loop), future


def thread_waiter() -> tuple[Waiter[Any], Future[Any]]:
    """A waiter for a thread, and what it waits for."""
    future: Future[Any] = Future()
    return Waiter(future, None), future


def answer_all(pairs: Iterable[tuple[Waiter[Any], Any]]) -> None:
    """Give each waiter its answer, or raise it where it is an exception; who has gone away is passed over."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Any, Any]]] = {}
    for waiter, answer in pairs:
        if waiter.loop is None:
            _resolve([(waiter.future, answer)])
        else:
            by_loop.setdefault(waiter.loop, []).append((waiter.future, answer))
    for loop, waiting in by_loop.items():
        with suppress(RuntimeError):  # the loop has been closed, with all who waited
            loop.call_soon_threadsafe(_resolve, waiting)


def _resolve(pairs: list[tuple[Any, Any]]) -> None:
    for future, answer in pairs:
        if future.done():
            continue  # its caller has gone
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
