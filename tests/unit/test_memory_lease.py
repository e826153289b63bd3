"""The lease: one holder, rising numbers, lost answers, wrong clocks, damage."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lakehouse.errors import PreconditionFailed
from lakehouse.memory.lease import Lease, LeaseHolder
from lakehouse.storage.objects import ObjectStore
from tests.fakes.objects import MemoryObjects

KEY = "log/t/lease.json"


class Time:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class LostAnswers(MemoryObjects):
    """Every conditional write is done, and then told as refused: what a client sees that retried."""

    def put(self, key: str, body: Any, **options: Any) -> Any:
        super().put(key, body, **options)
        raise PreconditionFailed("changed")


def holder(store: ObjectStore, clock: Time, name: str, fence: int = 0) -> LeaseHolder:
    return LeaseHolder(store, KEY, holder=name, clock=clock, published_fence=lambda: fence)


@pytest.fixture(params=["seaweedfs", "memory"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    return MemoryObjects() if request.param == "memory" else request.getfixturevalue("objects")


def test_second_holder_waits_for_the_end_and_gets_a_higher_number(store: ObjectStore) -> None:
    clock = Time()
    one, two = holder(store, clock, "one"), holder(store, clock, "two")
    assert one.acquire() == Lease("one", 1, clock.now + timedelta(seconds=30))
    assert two.acquire() is None
    clock.now += timedelta(seconds=20)
    renewed = one.acquire()
    assert renewed == Lease("one", 1, clock.now + timedelta(seconds=30))
    clock.now += timedelta(seconds=31)
    assert two.acquire() == Lease("two", 2, clock.now + timedelta(seconds=30))
    assert one.acquire() is None


def test_released_lease_is_free_at_once_and_its_number_rises(store: ObjectStore) -> None:
    clock = Time()
    one, two = holder(store, clock, "one"), holder(store, clock, "two")
    one.acquire()
    two.release()  # not its own
    assert two.acquire() is None
    one.release()
    lease = two.acquire()
    assert lease is not None
    assert lease.fence == 2


def test_own_lease_that_ended_is_a_new_holding() -> None:
    clock = Time()
    one = holder(MemoryObjects(), clock, "one")
    one.acquire()
    clock.now += timedelta(minutes=5)
    lease = one.acquire()
    assert lease is not None
    assert lease.fence == 2


def test_holder_keeps_what_nobody_else_has_had_also_after_its_end(store: ObjectStore) -> None:
    clock = Time()
    one, two = holder(store, clock, "one"), holder(store, clock, "two")
    assert one.keep() is None  # it has none yet
    one.acquire()
    assert one.keep() == Lease("one", 1, clock.now + timedelta(seconds=30))
    clock.now += timedelta(minutes=5)
    assert one.keep() == Lease("one", 2, clock.now + timedelta(seconds=30))
    clock.now += timedelta(minutes=5)
    two.acquire()
    two.release()
    assert one.keep() is None  # it is free, and yet another's
    assert one.acquire() is not None


def test_racers_for_a_free_lease_have_one_winner(store: ObjectStore) -> None:
    clock = Time()
    with ThreadPoolExecutor(8) as pool:
        leases = list(pool.map(lambda n: holder(store, clock, f"h{n}").acquire(), range(8)))
    (winner,) = [lease for lease in leases if lease is not None]
    assert winner.fence == 1


def test_lost_answer_is_found_out() -> None:
    assert holder(LostAnswers(), Time(), "one").acquire() is not None


def test_end_that_no_holder_may_set_is_not_believed() -> None:
    clock, store = Time(), MemoryObjects()
    wrong = Time()
    wrong.now += timedelta(days=300)
    holder(store, wrong, "wrong").acquire()
    lease = holder(store, clock, "one").acquire()
    assert lease is not None
    assert lease.fence == 2


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"holder":"x"}', b'{"holder":"x","fence":1,"expires_at":"never"}']
)
def test_damaged_lease_goes_on_after_what_was_published(body: bytes) -> None:
    store = MemoryObjects()
    store.put(KEY, body)
    lease = holder(store, Time(), "one", fence=7).acquire()
    assert lease is not None
    assert lease.fence == 8


def test_lost_lease_goes_on_after_what_was_published() -> None:
    lease = holder(MemoryObjects(), Time(), "one", fence=7).acquire()
    assert lease is not None
    assert lease.fence == 8
