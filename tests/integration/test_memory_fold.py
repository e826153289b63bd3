"""The fold: entries move into the table once, under one lease, and the log goes on whatever the table does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from lakehouse.adapters import background_turn, memory_folder
from lakehouse.errors import Conflict, LakehouseError, StoreUnavailable
from lakehouse.memory.entry import Entry
from lakehouse.memory.keys import lease_key, parse_object_key
from lakehouse.storage.objects import list_all
from tests.fakes.memory import FoldedInMemory, FoldedTable
from tests.fakes.objects import MemoryObjects
from tests.memory_logs import TABLE, Process, running, wait_until


def write(process: Process, *numbers: int) -> None:
    for number in numbers:
        process.log.append_sync("record", {"n": number}, actor="ann")


def rows(table: FoldedTable) -> list[object]:
    return sorted(entry.payload["n"] for entry in table.rows.values())


def test_folded_entries_are_in_the_table_and_folding_again_changes_nothing() -> None:
    store, table = MemoryObjects(), FoldedTable()
    with running(store, table) as one:
        write(one, 1, 2, 3)
        assert one.log.fold() == 3
        before = dict(table.rows), dict(table.folded_through)
        assert one.log.fold() == 0
        assert (table.rows, table.folded_through) == before
        write(one, 4)
        assert one.log.fold() == 1
    assert rows(table) == [1, 2, 3, 4]


def test_start_reads_rows_and_only_the_log_after_them() -> None:
    store, table = MemoryObjects(), FoldedTable()
    with running(store, table) as one:
        write(one, 1, 2)
        one.log.fold()
        write(one, 3)
    with running(store, table) as two:
        assert two.numbers() == [1, 2, 3]
        assert two.state.repeated == 0


def test_folded_log_objects_may_go_without_loss() -> None:
    store, table = MemoryObjects(), FoldedTable()
    with running(store, table) as one:
        write(one, 1, 2)
        one.log.fold()
    for info in list(list_all(store, f"log/{TABLE}/")):
        if parse_object_key(info.key):
            store.delete(info.key)
    with running(store, table) as two:
        write(two, 3)
        assert two.numbers() == [1, 2, 3]
        assert two.log.fold() == 1
        assert two.log.stats()["lost_objects"] == 0


def test_while_another_process_holds_the_lease_nothing_is_folded() -> None:
    store, table = MemoryObjects(), FoldedTable()
    with running(store, table) as one, running(store, table) as two:
        write(one, 1)
        assert one.log.fold() == 1
        write(two, 2)
        assert two.log.fold() == 0
        wait_until(lambda: one.numbers() == [1, 2])
        assert one.log.fold() == 1
    with running(store, table) as three:  # the lease was given back
        write(three, 3)
        assert three.log.fold() == 1
    assert rows(table) == [1, 2, 3]


def test_lease_that_ran_out_goes_to_another() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    store, table = MemoryObjects(), FoldedTable()
    with running(store, table, clock=lambda: now) as one, running(store, table, clock=lambda: now) as two:
        write(one, 1)
        one.log.fold()
        fence = table.fence
        write(two, 2)
        now += timedelta(seconds=31)
        wait_until(lambda: two.numbers() == [1, 2])
        assert two.log.fold() == 1
        assert table.fence == fence + 1


class Paused(FoldedInMemory):
    """A table whose merge can be held up, as by a process that is paused with its lease."""

    def __init__(self, table: FoldedTable) -> None:
        super().__init__(table)
        self.arrived, self.go_on = threading.Event(), threading.Event()
        self.failures: list[Exception] = []

    def merge(self, entries: Sequence[Entry], folded_through: Mapping[str, int], *, fence: int) -> None:
        self.arrived.set()
        self.go_on.wait(60)
        try:
            super().merge(entries, folded_through, fence=fence)
        except Conflict as error:
            self.failures.append(error)
            raise


def test_holder_that_was_paused_past_its_lease_publishes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_turn, "PATIENCE_S", 0.0)  # two processes, which have a turn each
    now = datetime(2026, 3, 1, tzinfo=UTC)
    store, table = MemoryObjects(), FoldedTable()
    paused = Paused(table)
    with (
        running(store, table, clock=lambda: now, folded=paused) as one,
        running(store, table, clock=lambda: now) as two,
    ):
        write(one, 1)
        done: list[int] = []
        thread = threading.Thread(target=lambda: done.append(one.log.fold()))
        thread.start()
        paused.arrived.wait(60)
        now += timedelta(seconds=31)
        wait_until(lambda: two.numbers() == [1])
        write(two, 2)
        assert two.log.fold() == 2
        through = dict(table.folded_through)
        paused.go_on.set()
        thread.join()
        assert done == [0]
        assert len(paused.failures) == 1
        assert (rows(table), table.folded_through) == ([1, 2], through)


def test_processes_that_fold_and_write_at_once_lose_and_double_nothing() -> None:
    store, table = MemoryObjects(), FoldedTable()
    with running(store, table, fold_s=0.01) as one, running(store, table, fold_s=0.01) as two:
        threads = [
            threading.Thread(target=write, args=(process, *range(start, start + 100)))
            for process, start in ((one, 0), (two, 100), (one, 200), (two, 300))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until(lambda: len(one.state.entries) == len(two.state.entries) == 400)
        wait_until(lambda: len(table.rows) == 400)
    assert rows(table) == list(range(400))
    with running(store, table) as three:
        assert sorted(three.numbers()) == list(range(400))  # type: ignore[type-var]


def test_table_that_was_dropped_is_made_afresh_from_the_log() -> None:
    store, table = MemoryObjects(), FoldedTable()
    with running(store, table) as one:
        write(one, 1, 2)
        one.log.fold()
        table.rows, table.folded_through, table.fence = {}, {}, 0
        write(one, 3)
        assert one.log.fold() == 3
    assert rows(table) == [1, 2, 3]
    table.rows, table.folded_through, table.fence = {}, {}, 0
    with running(store, table) as two:
        assert two.numbers() == [1, 2, 3]
        assert two.log.fold() == 3
    assert rows(table) == [1, 2, 3]


def test_damaged_table_leaves_the_log_to_do_and_is_mended() -> None:
    store, table = MemoryObjects(), FoldedTable()
    with running(store, table) as one:
        write(one, 1, 2)
        one.log.fold()
        write(one, 3)
    table.is_broken = True
    with running(store, table) as two:
        assert two.numbers() == [1, 2, 3]
        assert "rebuild it" in two.log.stats()["last_error"]
        write(two, 4)
        assert two.log.rebuild() == {"rows": 4, "from_table": 0, "from_log": 4}
        assert two.log.stats()["last_error"] is None
        assert two.log.fold() == 0
    assert rows(table) == [1, 2, 3, 4]


def test_rebuild_keeps_rows_whose_log_is_gone() -> None:
    store, table = MemoryObjects(), FoldedTable()
    with running(store, table) as one:
        write(one, 1)
        one.log.fold()
        for info in list(list_all(store, f"log/{TABLE}/")):
            if parse_object_key(info.key):
                store.delete(info.key)
        write(one, 2)
        assert one.log.rebuild() == {"rows": 2, "from_table": 1, "from_log": 1}
    assert rows(table) == [1, 2]


def test_store_away_during_a_fold_is_told_and_the_next_fold_goes_on() -> None:
    store, table = MemoryObjects(), FoldedTable()
    with running(store, table) as one:
        write(one, 1)
        table.is_down = True
        with pytest.raises(StoreUnavailable):
            one.log.fold()
        write(one, 2)
        table.is_down = False
        assert one.log.fold() == 2


def test_failure_of_the_background_fold_is_told_until_it_succeeds() -> None:
    store, table = MemoryObjects(), FoldedTable()
    with running(store, table, fold_s=0.02) as one:
        table.is_down = True
        write(one, 1)
        wait_until(lambda: one.log.stats()["last_error"])
        table.is_down = False
        wait_until(lambda: rows(table) == [1])
        wait_until(lambda: one.log.stats()["last_error"] is None)


def test_lease_document_says_who_until_when_and_under_which_number() -> None:
    store, table = MemoryObjects(), FoldedTable()
    with running(store, table) as one:
        write(one, 1)
        one.log.fold()
        document: dict[str, Any] = orjson.loads(store.get(lease_key(TABLE)).body)
        assert document.keys() == {"holder", "fence", "expires_at", "format_version"}
        assert document["fence"] == table.fence == 1


def test_entries_beyond_what_is_kept_in_memory_are_folded_from_the_bucket() -> None:
    store, table = MemoryObjects(), FoldedTable()
    with running(store, table) as one:
        for number in range(80):
            one.log.append_sync("record", {"n": number, "x": "y" * 1_000_000}, actor="a")
        assert one.log.stats()["tail_bytes"] <= 64 << 20
        assert one.log.fold() == 80
        assert one.log.stats()["tail_bytes"] == 0
    assert rows(table) == list(range(80))


async def gather(process: Process, count: int) -> None:
    await asyncio.gather(*(process.log.append("record", {"n": n}, actor="a") for n in range(count)))


def test_many_entries_are_folded_in_portions() -> None:
    store, table = MemoryObjects(), FoldedTable()
    with running(store, table) as one:
        asyncio.run(gather(one, 45_000))
        assert one.log.fold() == 45_000
    assert len(table.rows) == 45_000


def test_fold_of_a_table_that_refuses_raises() -> None:
    class Refusing(FoldedInMemory):
        def merge(self, *_: object, **__: object) -> None:
            raise LakehouseError("the table is damaged")

    table = FoldedTable()
    with running(MemoryObjects(), table, folded=Refusing(table)) as one:
        write(one, 1)
        with pytest.raises(LakehouseError, match="damaged"):
            one.log.fold()


def test_who_folds_in_the_background_rests_after_each_portion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_folder, "_PORTION_ENTRIES", 2)
    rests: list[float] = []
    with running(MemoryObjects()) as process:
        for number in range(4):
            write(process, number)
        assert process.log.fold(rests.append) == 4
    assert len(rests) >= 2
    assert all(0 <= rest <= 1 for rest in rests)
