"""A message of a body is waited for, with an end to it; one that is there already needs no timer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lakehouse_api.limits import BodyPace, BodyTimeout
from lakehouse_api.receiving import receive_at_pace, receive_within

pytestmark = pytest.mark.anyio
MESSAGE = {"type": "http.request", "body": b"1", "more_body": False}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_what_is_there_is_given_without_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def receive() -> Any:
        return MESSAGE

    monkeypatch.setattr(asyncio, "timeout", None)
    assert await receive_within(receive, 1) == MESSAGE


async def test_what_comes_later_is_waited_for() -> None:
    come = asyncio.Event()

    async def receive() -> Any:
        await come.wait()
        await asyncio.sleep(0)  # and once more
        return MESSAGE

    waiting = asyncio.ensure_future(receive_within(receive, 10))
    await asyncio.sleep(0)
    come.set()
    assert await waiting == MESSAGE


async def test_what_does_not_come_is_a_timeout_and_ends_the_wait() -> None:
    ended: list[str] = []

    async def receive() -> Any:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append("ended")

    with pytest.raises(TimeoutError):
        await receive_within(receive, 0.01)
    assert ended == ["ended"]


async def test_client_that_sends_a_byte_now_and_then_is_waited_for_no_longer() -> None:
    sizes = [1] * 8 + [1024]

    async def receive() -> Any:
        await asyncio.sleep(0.001)
        return {"type": "http.request", "body": b"x" * sizes.pop(), "more_body": True}

    pace = BodyPace(60)
    for _ in range(9):
        before_s = pace.left_s
        await receive_at_pace(receive, pace)
    assert pace.left_s < before_s < 60  # the first part was large enough to begin anew
    pace.took(59.999, 1)
    with pytest.raises(BodyTimeout, match="less than 1 KiB came within 60 s"):
        await receive_at_pace(asyncio.get_running_loop().create_future, pace)  # type: ignore[arg-type]


async def test_an_error_of_the_connection_is_raised() -> None:
    async def at_once() -> Any:
        raise OSError("gone")

    async def later() -> Any:
        await asyncio.sleep(0)
        raise OSError("gone")

    for receive in (at_once, later):
        with pytest.raises(OSError, match="gone"):
            await receive_within(receive, 10)


async def test_who_is_cancelled_waits_no_more() -> None:
    async def receive() -> Any:
        await asyncio.get_running_loop().create_future()

    waiting = asyncio.ensure_future(receive_within(receive, 10))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
