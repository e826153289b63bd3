"""The memory log: what is acknowledged is in the bucket and in every process's state, once, whatever fails."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from lakehouse.adapters import memory_writer
from lakehouse.clock import utc_now
from lakehouse.errors import BadInput, StoreUnavailable, TooLarge, Unavailable
from lakehouse.memory.entry import MAX_LINE_BYTES, Order
from lakehouse.memory.keys import parse_object_key
from lakehouse.memory.log_object import VOID, read_object
from lakehouse.storage.objects import ObjectStore, list_all
from tests.fakes.memory import FoldedTable
from tests.fakes.objects import MemoryObjects
from tests.memory_logs import NEXT_LOOK, TABLE, FaultyObjects, Process, running, wait_for_looks, wait_until

pytestmark = pytest.mark.anyio
PATIENCE_S = 60.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["seaweedfs", "memory"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    return MemoryObjects() if request.param == "memory" else request.getfixturevalue("objects")


def log_objects(store: ObjectStore) -> dict[str, bytes]:
    keys = [info.key for info in list_all(store, f"log/{TABLE}/")]
    return {key: store.get(key).body for key in keys if parse_object_key(key) is not None}


def recorded(store: ObjectStore) -> list[str]:
    """Every op_id in the bucket, as often as it is there."""
    found = []
    for key, body in log_objects(store).items():
        _, writer, seq = parse_object_key(key) or ("", "", 0)
        found += [entry.op_id for entry in read_object(body, writer=writer, seq=seq).entries]
    return found


async def looked_at(process: Process, times: int = 3) -> None:
    """Wait until the follower has gone through its whole round a few times."""
    await asyncio.to_thread(wait_for_looks, process.log, times)


async def append(process: Process, number: int) -> str:
    return (await process.log.append("record", {"n": number}, actor="ann")).op_id


async def test_acknowledged_entry_is_in_the_bucket_and_in_the_state(store: ObjectStore) -> None:
    with running(store) as one:
        entry = await one.log.append("record", {"n": 1}, actor="ann")
        assert one.state.entries == {entry.op_id: entry}
        assert one.log.revision == str(entry.order)
        assert recorded(store) == [entry.op_id]
        threaded = await asyncio.to_thread(lambda: one.log.append_sync("record", {"n": 2}, actor="bob"))
        assert threaded.order > entry.order
        assert one.numbers() == [1, 2]


async def test_many_callers_at_once_share_objects_and_lose_and_double_nothing(store: ObjectStore) -> None:
    with running(store) as one:

        async def write() -> list[str]:
            return [await append(one, n) for n in range(20)]

        def write_in_a_thread() -> None:
            for number in range(20):
                acknowledged.append(one.log.append_sync("record", {"n": number}, actor="t").op_id)

        acknowledged: list[str] = []
        threads = [threading.Thread(target=write_in_a_thread) for _ in range(3)]
        for thread in threads:
            thread.start()
        acknowledged += [op_id for ids in await asyncio.gather(*(write() for _ in range(30))) for op_id in ids]
        await asyncio.to_thread(lambda: [thread.join() for thread in threads])
        assert sorted(recorded(store)) == sorted(acknowledged)
        assert len(one.state.entries) == 660
        assert one.state.repeated == 0
        numbers = [(parse_object_key(key) or ("", "", 0))[2] for key in log_objects(store)]
        assert sorted(numbers) == list(range(1, len(numbers) + 1))
        assert len(numbers) < 600


async def test_two_processes_see_each_other_in_the_next_look(store: ObjectStore) -> None:
    with running(store) as one, running(store) as two:
        await append(one, 1)
        await looked_at(two, NEXT_LOOK)
        assert two.numbers() == [1]
        await append(two, 2)
        await looked_at(one, NEXT_LOOK)
        assert one.numbers() == [1, 2]
        assert one.state.entries == two.state.entries
        assert one.log.revision == two.log.revision


async def test_write_after_a_read_comes_after_it_in_the_order_even_from_a_slow_clock(store: ObjectStore) -> None:
    def slow_clock() -> datetime:
        return utc_now() - timedelta(minutes=10)

    with running(store) as one, running(store, clock=slow_clock) as two:
        first = await one.log.append("record", {"n": 1}, actor="a")
        await two.log.wait_for(str(first.order), PATIENCE_S)
        second = await two.log.append("record", {"n": 2}, actor="b")
        assert second.order > first.order


async def test_read_waits_for_the_revision_of_another_process(store: ObjectStore) -> None:
    with running(store, poll_s=3600) as one, running(store, poll_s=3600) as two:  # who waits does not wait for those
        for number in range(5):
            revision = str((await one.log.append("record", {"n": number}, actor="a")).order)
            await two.log.wait_for(revision, PATIENCE_S)
            assert two.numbers()[-1] == number
        await one.log.wait_for(revision)
        await one.log.wait_for("")


async def test_revision_that_does_not_come_is_unavailable_and_one_that_is_none_refused(store: ObjectStore) -> None:
    with running(store) as one:
        order = (await one.log.append("record", {"n": 1}, actor="a")).order
        begun = time.monotonic()
        with pytest.raises(Unavailable, match=r"has not seen revision .* within 0\.3 s"):
            await one.log.wait_for(str(Order(order.hlc, order.writer, 9, 0)), 0.3)
        assert time.monotonic() - begun > 0.29
        with pytest.raises(BadInput, match="is not a revision"):
            await one.log.wait_for("soon")


async def test_restart_replays_what_was_acknowledged(store: ObjectStore) -> None:
    for round_number in range(3):
        with running(store) as one:
            assert one.numbers() == list(range(round_number * 4))
            for number in range(4):
                await append(one, round_number * 4 + number)
    with running(store) as one:
        assert one.numbers() == list(range(12))
        assert one.state.repeated == 0


async def test_corrupt_lines_are_skipped_and_counted_while_following_and_at_the_start(store: ObjectStore) -> None:
    with running(store) as one:
        kept = [await append(one, number) for number in range(3)]
    objects = log_objects(store)
    keys = sorted(objects)
    store.put(keys[0], b"\xff\xfe{\n" + objects[keys[0]])
    store.put(keys[2], objects[keys[2]][:-20])
    with running(store) as two:
        assert sorted(two.state.entries) == sorted(kept[:2])
        assert two.log.stats()["corrupt_lines"] == 2
        store.put(keys[2].replace("003.jsonl", "004.jsonl"), b"")
        await asyncio.to_thread(wait_until, lambda: two.log.stats()["corrupt_lines"] == 3)
        await append(two, 9)


async def test_outage_fails_writes_leaves_nothing_and_reads_go_on() -> None:
    store = MemoryObjects()
    with running(store) as one, running(store) as two:
        await append(one, 1)
        await asyncio.to_thread(wait_until, lambda: two.numbers() == [1])
        store.is_down = True
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await append(one, 2)
        assert one.numbers() == [1]
        await asyncio.to_thread(wait_until, lambda: two.log.stats()["last_error"])
        assert two.numbers() == [1]
        store.is_down = False
        await append(one, 3)
        await asyncio.to_thread(wait_until, lambda: two.numbers() == [1, 3])
        assert one.numbers() == [1, 3]
        assert len(recorded(store)) == 2
        await asyncio.to_thread(wait_until, lambda: not two.log.stats()["last_error"])


async def test_failed_write_is_closed_without_another_write() -> None:
    store = FaultyObjects(puts=["fail"])
    with running(store) as one:
        with pytest.raises(StoreUnavailable):
            await append(one, 1)
        await asyncio.to_thread(wait_until, lambda: log_objects(store))
        assert list(log_objects(store).values()) == [VOID]


async def test_write_that_arrives_after_its_error_finds_its_place_taken() -> None:
    store = FaultyObjects(puts=["late"])
    with running(store) as one, running(store) as two:
        with pytest.raises(StoreUnavailable):
            await append(one, 1)
        await append(one, 2)
        assert len(store.land()) == 1
        await asyncio.to_thread(wait_until, lambda: two.numbers() == [2])
        assert one.numbers() == [2]
    with running(store) as three:
        assert three.numbers() == [2]
        assert three.log.stats()["missing_objects"] == 0


async def test_write_that_was_there_when_its_error_came_counts_as_recorded_once() -> None:
    store = FaultyObjects(puts=["lose"])
    with running(store) as one, running(store) as two:
        with pytest.raises(StoreUnavailable):
            await append(one, 1)
        await append(one, 2)
        await asyncio.to_thread(wait_until, lambda: two.numbers() == [1, 2])
        assert one.numbers() == [1, 2]
        assert (one.state.repeated, one.log.stats()["late_entries"]) == (0, 1)


async def test_failed_write_is_no_fault_of_the_log_once_its_fate_is_known() -> None:
    store = FaultyObjects(puts=["fail"])
    with running(store) as one:
        with pytest.raises(StoreUnavailable):
            await append(one, 1)
        assert "it may be recorded all the same" in one.log.stats()["last_error"]
    # What is open is settled without another write: as soon as the store answers, at the end at the latest.
    assert one.log.stats()["last_error"] is None


@pytest.mark.parametrize("faults", [["fail", "lose"], ["late", "fail", "lose"], ["fail", "fail", "late"]])
async def test_place_that_cannot_be_closed_is_tried_again(faults: list[str]) -> None:
    store = FaultyObjects(puts=list(faults))
    with running(store) as one:
        for _ in faults:
            with pytest.raises(StoreUnavailable):
                await append(one, 1)
        op_id = await append(one, 2)
        store.land()
        assert recorded(store) == [op_id]
        assert one.numbers() == [2]


async def test_retried_write_whose_first_answer_was_lost_is_acknowledged(objects: ObjectStore) -> None:
    class Retried(type(objects)):  # type: ignore[misc]
        """Sends every write of a log object twice, as a client does that heard nothing."""

        def put(self, key: str, *args: object, **options: object) -> object:
            if key.endswith(".jsonl"):
                super().put(key, *args, **options)
            return super().put(key, *args, **options)

    with running(Retried(objects.location)) as one:  # type: ignore[attr-defined]
        op_ids = [await append(one, number) for number in range(3)]
        assert one.numbers() == [0, 1, 2]
    assert recorded(objects) == op_ids


async def test_place_taken_by_a_stranger_fails_the_group_and_a_new_stream_begins() -> None:
    store = MemoryObjects()
    with running(store) as one:
        first = (await one.log.append("record", {"n": 1}, actor="a")).order
        store.put(f"log/{TABLE}/{first.writer}/000000000002.jsonl", b"foreign")
        with pytest.raises(StoreUnavailable, match="belongs to another process"):
            await append(one, 2)
        second = (await one.log.append("record", {"n": 3}, actor="a")).order
        assert second.writer != first.writer
        assert second.seq == 1
        assert one.numbers() == [1, 3]


async def test_stream_that_rested_is_left_for_a_new_one() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    store = MemoryObjects(clock=lambda: now)
    with running(store, clock=lambda: now) as one, running(store, clock=lambda: now) as two:
        first = (await one.log.append("record", {"n": 1}, actor="a")).order
        await two.log.wait_for(str(first), PATIENCE_S)
        now += timedelta(minutes=59)
        assert (await one.log.append("record", {"n": 2}, actor="a")).order.writer == first.writer
        now += timedelta(hours=3)
        third = (await one.log.append("record", {"n": 3}, actor="a")).order
        assert third.writer != first.writer
        await two.log.wait_for(str(third), PATIENCE_S)
        assert two.numbers() == [1, 2, 3]


async def test_object_that_vanished_is_waited_for_and_comes_back() -> None:
    store = MemoryObjects()
    with running(store) as one:
        for number in range(3):
            await append(one, number)
    objects = log_objects(store)
    missing = sorted(objects)[1]
    store.delete(missing)
    with running(store, gap_s=3600) as two:
        assert two.numbers() == [0, 2]
        assert two.log.stats()["missing_objects"] == 1
        order = Order.parse(two.log.revision)
        with pytest.raises(Unavailable):
            await two.log.wait_for(str(Order(order.hlc, order.writer, 2, 0)), 0.2)
        store.put(missing, objects[missing])
        await two.log.wait_for(str(Order(order.hlc, order.writer, 2, 0)), PATIENCE_S)
        assert two.numbers() == [0, 1, 2]
        assert two.log.stats()["missing_objects"] == 0


async def test_object_that_stays_away_is_lost_counted_and_not_waited_for_any_more() -> None:
    store = MemoryObjects()
    with running(store) as one:
        for number in range(3):
            await append(one, number)
    store.delete(sorted(log_objects(store))[1])
    with running(store, gap_s=0.1) as two:
        await asyncio.to_thread(wait_until, lambda: two.log.stats()["lost_objects"] == 1)
        assert two.log.stats()["missing_objects"] == 0
        assert two.numbers() == [0, 2]
        assert two.log.fold() == 2


async def test_object_that_was_folded_and_removed_comes_from_the_rows() -> None:
    store, table = MemoryObjects(), FoldedTable()
    with running(store, table) as one:
        await append(one, 0)
        with running(store, table, gap_s=0.1) as slow:
            assert slow.numbers() == [0]
            store.is_down = True  # the slow one cannot look
            await asyncio.to_thread(wait_until, lambda: slow.log.stats()["last_error"])
            table.is_down = True
            store.is_down = False
            await append(one, 1)
            table.is_down = False
            one.log.fold()
            # A reader that comes back after retention has taken what is folded.
            with running(MemoryObjects(), table, gap_s=0.1) as later:
                assert later.numbers() == [0, 1]
            await asyncio.to_thread(wait_until, lambda: slow.numbers() == [0, 1])


async def test_reader_that_was_away_for_longer_than_the_log_is_kept_reads_the_rows_again() -> None:
    store, table = MemoryObjects(), FoldedTable()
    with running(store, table) as one:
        await append(one, 0)
        with running(store, table, gap_s=0.2, poll_s=1.4) as slow:
            for number in (1, 2, 3):
                await append(one, number)
            one.log.fold()
            for key in sorted(log_objects(store))[:3]:
                store.delete(key)
            await append(one, 4)
            await asyncio.to_thread(wait_until, lambda: slow.numbers() == [0, 1, 2, 3, 4])
            assert slow.log.stats()["lost_objects"] == 0


async def test_object_that_the_store_does_not_give_holds_up_nothing_else_and_is_never_given_up() -> None:
    store = FaultyObjects()
    with running(store) as one:
        for number in range(3):
            await append(one, number)
    hidden = sorted(log_objects(store))[1]
    store.unreadable.add(hidden)
    with running(store, gap_s=0.05) as two:
        await append(two, 3)
        assert two.numbers() == [0, 2, 3]
        assert two.log.fold() == 2  # what comes before it in its stream, and other streams
        await asyncio.sleep(0.2)
        assert two.log.stats()["missing_objects"] == 1
        store.unreadable.clear()
        await asyncio.to_thread(wait_until, lambda: two.numbers() == [0, 1, 2, 3])
        assert two.log.fold() == 2


async def test_stream_whose_folder_is_listed_before_its_first_object_is_followed() -> None:
    # A store makes the folder first: a look between the two finds a stream with nothing in it.
    store = FaultyObjects()
    with running(store) as one, running(store) as two:
        store.announced.add(one.log._stream.writer)
        await looked_at(two)
        await append(one, 1)
        await asyncio.to_thread(wait_until, lambda: two.numbers() == [1])


@pytest.mark.parametrize("fault", ["unfound", "unreadable"])
async def test_stream_whose_first_object_is_listed_before_it_can_be_read_is_followed(fault: str) -> None:
    store = FaultyObjects()
    with running(store) as one, running(store, gap_s=3600) as two:
        first = f"log/{TABLE}/{one.log._stream.writer}/000000000001.jsonl"
        getattr(store, fault).add(first)
        await append(one, 1)
        await asyncio.to_thread(wait_until, lambda: two.log.stats()["missing_objects"] == 1)
        await looked_at(two)
        getattr(store, fault).clear()
        await asyncio.to_thread(wait_until, lambda: two.numbers() == [1])
        await append(one, 2)
        await asyncio.to_thread(wait_until, lambda: two.numbers() == [1, 2])


async def test_stream_that_was_named_long_before_its_first_object_gets_a_new_name() -> None:
    # Readers look for streams by when they were named.
    now = datetime(2026, 3, 1, tzinfo=UTC)
    store = MemoryObjects(clock=lambda: now)
    with running(store, clock=lambda: now) as one:
        named = one.log._stream.writer
        now += timedelta(days=2)
        first = (await one.log.append("record", {"n": 1}, actor="a")).order
        assert first.writer != named
        assert (await one.log.append("record", {"n": 2}, actor="a")).order.writer == first.writer
        assert one.numbers() == [1, 2]


async def test_entry_that_the_state_refuses_stops_neither_the_log_nor_the_next_start() -> None:
    store = MemoryObjects()
    with running(store) as one:
        one.state.refuses.add("odd")
        answers = await asyncio.gather(
            append(one, 1), one.log.append("odd", {"n": 2}, actor="a"), append(one, 3), return_exceptions=True
        )
        assert isinstance(answers[1], ValueError)
        assert one.numbers() == [1, 3]
        assert one.log.stats()["refused_entries"] == 1
        await append(one, 4)
    with running(store) as two:
        assert two.numbers() == [1, 2, 3, 4]


async def test_caller_that_went_away_disturbs_nobody() -> None:
    store = MemoryObjects()
    with running(store) as one:
        gone = asyncio.ensure_future(append(one, 1))
        await asyncio.sleep(0)
        gone.cancel()
        await append(one, 2)
        assert one.numbers()[-1] == 2
        assert sorted(recorded(store)) == sorted(one.state.entries)


async def test_what_comes_in_one_turn_of_the_loop_is_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_writer, "_LONGEST_TURN_S", 60.0)  # a turn may be long on a busy machine
    store = MemoryObjects()
    with running(store) as one:
        await asyncio.gather(*(append(one, number) for number in range(50)))
        assert len(log_objects(store)) == 1


async def test_stopped_log_has_written_what_it_accepted_and_refuses_more() -> None:
    store = MemoryObjects()
    with running(store) as one:
        waiting = [asyncio.ensure_future(append(one, number)) for number in range(100)]
        await asyncio.sleep(0)
        await asyncio.to_thread(one.log.stop)
        assert len(set(await asyncio.gather(*waiting))) == len(recorded(store)) == 100
        with pytest.raises(Unavailable, match="is stopped"):
            await append(one, 1)


async def test_store_that_is_away_at_the_start_is_waited_for() -> None:
    store = MemoryObjects()
    with running(store) as one:
        await append(one, 1)
    store.is_down = True
    with running(store) as two:
        with pytest.raises(Unavailable, match="has not been read since the start"):
            await append(two, 2)
        with pytest.raises(Unavailable):
            two.log.fold()
        assert two.log.stats()["lag_s"] is None
        store.is_down = False
        await asyncio.to_thread(wait_until, lambda: two.log.stats()["is_replayed"])
        assert two.numbers() == [1]
        await append(two, 2)


async def test_payloads_over_the_limit_and_too_many_at_once_are_refused() -> None:
    class Slow(MemoryObjects):
        gate = threading.Event()

        def put(self, key: str, *args: object, **options: object) -> object:  # type: ignore[override]
            self.gate.wait(PATIENCE_S)
            return super().put(key, *args, **options)  # type: ignore[arg-type]

    store = Slow()
    with running(store) as one:
        with pytest.raises(TooLarge):
            await one.log.append("record", {"n": 0, "x": "y" * MAX_LINE_BYTES}, actor="a")
        large = {"n": 0, "x": "y" * (MAX_LINE_BYTES - 100)}
        waiting = [asyncio.ensure_future(one.log.append("record", large, actor="a")) for _ in range(80)]
        await asyncio.sleep(0)
        store.gate.set()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, Exception)]
        assert refused
        assert all("too many writes wait" in str(answer) for answer in refused)
        assert len(one.state.entries) == 80 - len(refused) > 60
        assert max(map(len, log_objects(store).values())) < 6 << 20


async def test_fault_in_a_look_is_told_and_the_next_look_goes_on() -> None:
    class Odd(MemoryObjects):
        is_odd = False

        def folders(self, prefix: str, *, after: str = "") -> list[str]:
            if self.is_odd:
                raise KeyError("what nobody thought of")
            return list(super().folders(prefix, after=after))

    store = Odd()
    with running(store) as one, running(store) as two:
        store.is_odd = True
        await append(one, 1)
        await asyncio.to_thread(wait_until, lambda: two.log.stats()["last_error"])
        assert two.log.stats()["last_error"] == "a fault in the memory log: KeyError"
        store.is_odd = False
        await asyncio.to_thread(wait_until, lambda: two.numbers() == [1])
        assert two.log.stats()["is_running"]


async def test_fault_in_the_writer_leaves_nobody_waiting() -> None:
    class Odd(MemoryObjects):
        def put(self, key: str, *args: object, **options: object) -> object:  # type: ignore[override]
            raise KeyError("what nobody thought of")

    faults: list[object] = []
    hook, threading.excepthook = threading.excepthook, lambda told: faults.append(told.exc_type)
    try:
        with running(Odd()) as one:
            answers = await asyncio.gather(*(append(one, n) for n in range(5)), return_exceptions=True)
            assert [type(answer) for answer in answers] == [Unavailable] * 5
            with pytest.raises(Unavailable, match="is stopped"):
                await append(one, 1)
            assert not one.log.stats()["is_running"]
    finally:
        threading.excepthook = hook
    assert faults == [KeyError]
