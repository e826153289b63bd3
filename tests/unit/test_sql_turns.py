"""Turns at the workers: nobody is passed over, no worker is lost."""

from __future__ import annotations

import asyncio

import pytest

from lakehouse.adapters.sql_turns import Turns

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_last_used_worker_goes_first() -> None:
    turns: Turns[str] = Turns()
    for name in ("a", "b"):
        turns.give(name)
    assert [await turns.take(1), await turns.take(1)] == ["b", "a"]


async def test_who_came_first_is_served_first_though_others_come_back_at_once() -> None:
    turns: Turns[str] = Turns()
    turns.give("a")
    served: list[int] = []

    async def work(number: int) -> None:
        for _ in range(20):
            worker = await turns.take(5)
            served.append(number)
            await asyncio.sleep(0)
            turns.give(worker)

    await asyncio.gather(*(work(number) for number in range(5)))
    assert served == [number for _ in range(20) for number in range(5)]


async def test_no_worker_in_time_is_an_error_and_the_next_one_gets_it() -> None:
    turns: Turns[str] = Turns()
    with pytest.raises(TimeoutError):
        await turns.take(0.001)
    turns.give("a")
    assert await turns.take(1) == "a"


async def test_worker_handed_to_somebody_who_gives_up_is_not_lost() -> None:
    turns: Turns[str] = Turns()
    leaving = asyncio.create_task(turns.take(5))
    staying = asyncio.create_task(turns.take(5))
    await asyncio.sleep(0)
    turns.give("a")
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert leaving.cancelled()
    assert await staying == "a"


async def test_idle_worker_whose_time_is_over_is_exchanged_and_one_at_work_is_not() -> None:
    turns: Turns[str | None] = Turns()
    for name in ("old", "young", "at work"):
        turns.give(name)
    assert await turns.take(1) == "at work"
    assert turns.exchange(lambda name: name != "young", None) == ["old"]
    assert [await turns.take(1), await turns.take(1)] == ["young", None]
