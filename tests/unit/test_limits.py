"""The gate: who comes too many waits for a turn, first come first, or is told to come back."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from lakehouse.errors import Unavailable
from lakehouse_api.limits import Gate

pytestmark = pytest.mark.anyio


async def test_turns_come_in_the_order_of_coming() -> None:
    gate, order = Gate(1, "thing"), list[int]()

    async def come(number: int) -> None:
        async with gate.hold_in_turn(60):
            order.append(number)
            await anyio.lowlevel.checkpoint()
            assert gate.held == 1

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(come, number)
    assert order == [0, 1, 2, 3, 4]
    assert gate.held == 0


async def test_who_waits_too_long_is_told_when_to_come_back() -> None:
    gate = Gate(1, "thing", retry_after_s=7)
    with gate.hold():
        with pytest.raises(Unavailable, match="1 thing is in flight already; try again in 7 s") as refused:
            async with gate.hold_in_turn(0.001):
                pass
        assert refused.value.fields["retry_after_s"] == 7
    async with gate.hold_in_turn(0.001):
        assert gate.held == 1
    assert gate.held == 0


async def test_nobody_jumps_the_queue() -> None:
    gate = Gate(1, "thing")
    with gate.hold():
        waiting = asyncio.ensure_future(gate.hold_in_turn(60).__aenter__())
        await anyio.wait_all_tasks_blocked()
    with pytest.raises(Unavailable), gate.hold():  # the place went on to whoever waits, before it could take it
        pass
    await waiting


@pytest.mark.parametrize("is_granted", [False, True])
async def test_place_of_one_who_is_cancelled_goes_on(is_granted: bool) -> None:
    gate = Gate(1, "thing")
    with gate.hold():
        first = asyncio.ensure_future(gate.hold_in_turn(60).__aenter__())
        second = asyncio.ensure_future(gate.hold_in_turn(60).__aenter__())
        await anyio.wait_all_tasks_blocked()
        if not is_granted:
            first.cancel()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await second
    assert gate.held == 1
