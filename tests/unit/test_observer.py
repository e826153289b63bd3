"""The observer: the ring, what is counted, batches, what becomes of a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lakehouse.adapters.observer_log import MAX_WAITING, ObserverLog
from lakehouse.errors import Unavailable
from lakehouse.observer import EventRing, ObserverEvent, ObserverStats
from lakehouse.observer.stats import MAX_NAMES, OTHERS

START = datetime(2026, 3, 4, 9, tzinfo=UTC)


def event(number: int, **changes: Any) -> ObserverEvent:
    given: dict[str, Any] = {"source": "agent", "kind": "step", **changes}
    return ObserverEvent(f"e{number}", START + timedelta(seconds=number), **given)


class Log:
    """An event log that takes lines while `refusal` is None."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.refusal: Exception | None = None
        self.taken = asyncio.Event()
        self.hold: asyncio.Event | None = None

    async def append(self, stream: str, line: Mapping[str, Any], *, durable: bool = True) -> str:
        await asyncio.sleep(0)
        self.taken.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.refusal is not None:
            raise self.refusal
        assert durable
        self.lines.append((stream, dict(line)))
        return str(line["run_id"])


def test_a_full_ring_drops_its_oldest_and_counts_them() -> None:
    ring = EventRing(3)
    for number in range(5):
        ring.put(event(number))
    assert [one.event_id for one in ring.events()] == ["e2", "e3", "e4"]
    assert (len(ring), ring.dropped, ring.version) == (3, 2, 5)


def test_events_come_newest_first_and_as_asked() -> None:
    ring = EventRing(100)
    for number in range(10):
        ring.put(
            event(number, source="a" if number % 2 else "b", kind="x" if number < 5 else "y", model=f"m{number % 3}")
        )
    assert [one.event_id for one in ring.latest(3)] == ["e9", "e8", "e7"]
    assert [one.event_id for one in ring.latest(10, source="a", kind="y")] == ["e9", "e7", "e5"]
    assert [one.event_id for one in ring.latest(10, since=START + timedelta(seconds=8))] == ["e9", "e8"]
    assert [one.event_id for one in ring.latest(2, model="m0")] == ["e9", "e6"]
    assert ring.latest(10, verdict="accept") == []


def test_counts_are_by_source_kind_verdict_and_model_of_all_there_were() -> None:
    stats = ObserverStats()
    for number in range(4):
        stats.count(event(number, verdict="accept" if number else None, model="m" if number % 2 else None))
    stats.count_lost(2)
    assert stats.document(in_ring=3, dropped=1) == {
        "total": 4, "in_ring": 3, "dropped": 1, "persist_errors": 2, "by_source": {"agent": 4}, "by_kind": {"step": 4},
        "by_verdict": {"accept": 3}, "by_model": {"m": 2},
    }  # fmt: skip


def test_names_without_end_do_not_fill_the_memory() -> None:
    stats = ObserverStats()
    for number in range(MAX_NAMES + 50):
        stats.count(event(number, source=f"s{number}"))
    counts = stats.document(in_ring=0, dropped=0)["by_source"]
    assert (len(counts), counts[OTHERS]) == (MAX_NAMES + 1, 50)


def scene(act: Callable[[ObserverLog, Log], Any], *, persist_required: bool = False) -> tuple[ObserverLog, Log]:
    async def play() -> tuple[ObserverLog, Log]:
        log = Log()
        observer = ObserverLog(log, EventRing(10), ObserverStats(), persist_required=persist_required)
        async with observer.running():
            await act(observer, log)
        return observer, log

    return asyncio.run(play())


def test_events_are_written_in_batches_and_the_rest_at_the_end() -> None:
    async def act(observer: ObserverLog, log: Log) -> None:
        for number in range(1200):
            await observer.put(event(number, data={"n": number}, task_id="t", actor="ops"))
        assert log.lines == []  # nobody waited for the disk
        await log.taken.wait()

    observer, log = scene(act)
    assert [line["run_id"] for _, line in log.lines] == [f"e{number}" for number in range(1200)]
    stream, line = log.lines[0]
    assert stream == "observer_events"
    assert (line["event_id"], line["data"], line["task_id"], line["actor"]) == ("e0", {"n": 0}, "t", "ops")
    assert observer.document()["persist_errors"] == 0


def test_a_refusal_is_counted_and_the_sender_hears_nothing() -> None:
    async def act(observer: ObserverLog, log: Log) -> None:
        log.refusal = Unavailable("the run-log spool is full")
        for number in range(3):
            await observer.put(event(number))

    observer, log = scene(act)
    assert log.lines == []
    told = observer.document()
    assert (told["total"], told["in_ring"], told["persist_errors"]) == (3, 3, 3)


def test_a_batch_that_is_refused_while_the_process_ends_is_counted() -> None:
    async def act(observer: ObserverLog, log: Log) -> None:
        log.hold = asyncio.Event()
        log.refusal = Unavailable("the run-log spool is full")
        await observer.put(event(0))
        await log.taken.wait()
        asyncio.get_running_loop().call_later(0.05, log.hold.set)

    observer, _ = scene(act)
    assert observer.document()["persist_errors"] == 1


def test_where_the_disk_is_required_the_sender_hears_and_nothing_is_kept() -> None:
    async def act(observer: ObserverLog, log: Log) -> None:
        await observer.put(event(0))
        assert [line["run_id"] for _, line in log.lines] == ["e0"]
        log.refusal = Unavailable("the run-log spool is full")
        with pytest.raises(Unavailable):
            await observer.put(event(1))

    observer, _ = scene(act, persist_required=True)
    told = observer.document()
    assert (told["total"], told["in_ring"], told["persist_errors"]) == (1, 1, 1)


def test_events_that_the_disk_cannot_follow_are_lost_and_counted() -> None:
    async def act(observer: ObserverLog, log: Log) -> None:
        log.refusal = Unavailable("full")
        for number in range(MAX_WAITING + 7):
            await observer.put(event(number))

    observer, _ = scene(act)
    assert observer.document()["persist_errors"] == MAX_WAITING + 7


def test_free_text_shows_to_those_who_may_see_personal_data() -> None:
    one = event(0, subject="Ann Lee", data={"said": "hi"})
    assert (one.document(has_pii=False)["subject"], one.document(has_pii=False)["data"]) == ("[masked]", "[masked]")
    assert one.document(has_pii=True)["data"] == {"said": "hi"}
    assert event(1).document(has_pii=False)["subject"] is None
