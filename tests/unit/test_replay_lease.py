"""The lease of a batch: renewed while work goes on, kept over a pause, lost to whoever has taken it since."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from lakehouse.adapters.replay_lease import held
from lakehouse.errors import Conflict
from lakehouse.memory.lease import Lease, LeaseHolder
from lakehouse.replay.batch import key_of
from tests.fakes.objects import MemoryObjects

pytestmark = pytest.mark.anyio
BATCH = "r-1"
KEY = key_of(BATCH, "lease.json")
LEASE_S = 60.0


class Time:
    """Both clocks of a process that is paused by hand."""

    def __init__(self) -> None:
        self.passed_s = 1.0

    def now(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=self.passed_s)

    def monotonic_s(self) -> float:
        return self.passed_s


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def lease_of(objects: MemoryObjects) -> Lease:
    lease = Lease.from_json(objects.get(KEY).body)
    assert lease is not None
    return lease


async def test_lease_is_renewed_while_work_goes_on_and_given_back() -> None:
    objects = MemoryObjects()
    async with held(objects, BATCH, lease_s=0.3) as batch:
        first = lease_of(objects)
        async with asyncio.timeout(30):
            while lease_of(objects).expires_at == first.expires_at:
                await asyncio.sleep(0.005)
        await batch.require()
    assert LeaseHolder(objects, KEY).acquire() is not None


async def test_process_that_was_held_up_goes_on_where_nobody_was_at_the_batch() -> None:
    objects, time = MemoryObjects(), Time()
    async with held(objects, BATCH, lease_s=LEASE_S, clock=time.now, monotonic_s=time.monotonic_s) as batch:
        time.passed_s += 3 * LEASE_S
        await batch.require()
        assert lease_of(objects).expires_at == time.now() + timedelta(seconds=LEASE_S)


@pytest.mark.parametrize("is_over", [False, True])
async def test_process_that_was_held_up_stops_where_another_was_at_the_batch(is_over: bool) -> None:
    objects, time = MemoryObjects(), Time()
    other = LeaseHolder(objects, KEY, clock=time.now)
    async with held(objects, BATCH, lease_s=LEASE_S, clock=time.now, monotonic_s=time.monotonic_s) as batch:
        time.passed_s += 3 * LEASE_S
        assert other.acquire() is not None
        if is_over:
            other.release()
        for _ in range(2):
            with pytest.raises(Conflict, match="another process has taken"):
                await batch.require()
    assert other.keep() is not None  # what is another's is not given back


async def test_lease_that_cannot_be_renewed_stops_the_process_once_it_is_over() -> None:
    objects, time = MemoryObjects(), Time()
    async with held(objects, BATCH, lease_s=LEASE_S, clock=time.now, monotonic_s=time.monotonic_s) as batch:
        objects.is_down = True
        await batch.require()
        time.passed_s += LEASE_S
        with pytest.raises(Conflict, match="the store did not answer"):
            await batch.require()
        objects.is_down = False
        await batch.require()
