"""The event log: acknowledged lines are on disk, get into the bucket once, and survive what kills their writer."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from lakehouse.adapters.event_log import EventLog
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.clock import utc_now
from lakehouse.errors import BadInput, InsufficientStorage, Unavailable
from lakehouse.events.envelope import MAX_LINE_BYTES
from lakehouse.settings import Settings, load_settings, process_environ
from lakehouse.storage.objects import ObjectInfo, ObjectStore, list_all
from tests.fakes.objects import MemoryObjects

pytestmark = pytest.mark.anyio

WRITER = """
import sys, threading
from lakehouse.adapters.event_log import EventLog
from lakehouse.settings import load_settings
from tests.fakes.objects import MemoryObjects

store = MemoryObjects()
store.is_down = True
log = EventLog(load_settings({"LAKEHOUSE_DATA_DIR": sys.argv[1]}, env_file=None), store)
log.start()
out = threading.Lock()

def work(thread):
    for number in range(1_000_000):
        run_id = log.append_sync("audits", {"thread": thread, "number": number})
        with out:
            print(run_id, flush=True)

for thread in range(4):
    threading.Thread(target=work, args=(thread,)).start()
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def settings_of(folder: Path, **settings: object) -> Settings:
    given = {"data_dir": folder, **settings}
    return load_settings({f"LAKEHOUSE_{k.upper()}": str(v) for k, v in given.items()}, env_file=None)


@contextmanager
def running(folder: Path, store: ObjectStore, **settings: object) -> Iterator[EventLog]:
    log = EventLog(settings_of(folder, **settings), store)
    log.start()
    try:
        yield log
    finally:
        log.stop()


def lines(store: ObjectStore, prefix: str = "raw/") -> list[dict[str, Any]]:
    return [orjson.loads(line) for info in list_all(store, prefix) for line in store.get(info.key).body.splitlines()]


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_line_is_shipped_with_its_envelope(objects: S3ObjectStore, tmp_path: Path) -> None:
    with running(tmp_path, objects) as log:
        run_id = await log.append("audits", {"action": "ingest", "actor": "ann", "trace_id": "t", "task_id": None})
    (line,) = lines(objects)
    recorded_at = datetime.fromisoformat(line.pop("recorded_at"))
    assert line == {
        "run_id": run_id, "task_id": None, "trace_id": "t", "actor": "ann", "config_version": None,
        "format_version": 1, "action": "ingest",
    }  # fmt: skip
    (key,) = [info.key for info in list_all(objects, "raw/")]
    assert key.startswith(f"raw/audits/dt={recorded_at:%Y-%m-%d}/")
    assert list((tmp_path / "spool").iterdir()) == []


async def test_many_writers_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    store = MemoryObjects()
    with running(tmp_path, store, spool_part_bytes=20_000) as log:

        async def write() -> list[str]:
            return [await log.append("audits", {"n": n}) for n in range(50)]

        acknowledged = [run_id for ids in await asyncio.gather(*(write() for _ in range(20))) for run_id in ids]
    assert sorted(line["run_id"] for line in lines(store)) == sorted(acknowledged)
    assert log.stats()["shipped_parts"] > 5


async def test_part_is_shipped_at_its_age(tmp_path: Path) -> None:
    store = MemoryObjects()
    with running(tmp_path, store, spool_part_age_s=0.05) as log:
        await log.append("audits", {})
        wait_for(lambda: log.stats()["shipped_parts"] == 1)
        assert log.stats()["depth_bytes"] == 0


async def test_lines_around_midnight_go_to_their_own_days(tmp_path: Path) -> None:
    # The clock goes over midnight and is then set back.
    now = datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC)
    store = MemoryObjects()
    log = EventLog(settings_of(tmp_path), store, clock=lambda: now)
    log.start()
    for day, hour in ((1, 23), (2, 0), (1, 23)):
        now = datetime(2026, 3, day, hour, 59, 59, tzinfo=UTC)
        await log.append("audits", {})
    log.stop()
    assert [len(lines(store, f"raw/audits/dt=2026-03-0{day}/")) for day in (1, 2)] == [2, 1]


async def test_store_down_leaves_lines_for_the_next_start(tmp_path: Path) -> None:
    store = MemoryObjects()
    store.is_down = True
    with running(tmp_path, store, spool_part_bytes=1) as log:
        run_id = await log.append("audits", {})
        wait_for(lambda: log.stats()["last_error"])
        assert log.stats()["depth_lines"] == 1
    assert lines_on_disk(tmp_path) == 1
    store.is_down = False
    with running(tmp_path, store) as log:
        wait_for(lambda: log.stats()["shipped_parts"] == 1)
        assert log.stats()["last_error"] is None
    assert [line["run_id"] for line in lines(store)] == [run_id]
    assert list((tmp_path / "spool").iterdir()) == []


def lines_on_disk(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in (folder / "spool").rglob("*.jsonl"))


async def test_full_spool_refuses_durable_lines_and_counts_others(tmp_path: Path) -> None:
    store = MemoryObjects()
    store.is_down = True
    with running(tmp_path, store, spool_max_bytes=1000) as log:
        await log.append("audits", {"text": "x" * 500})
        with pytest.raises(Unavailable, match="spool is full") as refused:
            await log.append("audits", {"text": "x" * 500})
        assert refused.value.fields["retry_after_s"] > 0
        await log.append("searches", {"text": "x" * 500}, durable=False)
        assert log.stats()["dropped"] == 1
    store.is_down = False
    with running(tmp_path, store, spool_max_bytes=1000) as log:
        wait_for(lambda: log.stats()["shipped_parts"] == 1)
        await log.append("audits", {"text": "x" * 500})
    assert len(lines(store)) == 2


async def test_room_is_refused_before_the_last_line_is(tmp_path: Path) -> None:
    store = MemoryObjects()
    store.is_down = True
    with running(tmp_path, store, spool_max_bytes=1000) as log:
        log.require_room()
        await log.append("audits", {"text": "x" * 600})
        with pytest.raises(Unavailable, match="the run-log spool is full; lines are shipped when the store answers"):
            log.require_room()
        await log.append("audits", {})  # one that was let in before still finds its place


async def test_disk_that_refuses_lines_has_no_room_until_it_takes_one(tmp_path: Path) -> None:
    with running(tmp_path, MemoryObjects()) as log:
        (writer,) = (tmp_path / "spool").iterdir()
        (writer / "audits").write_bytes(b"no folder")
        with pytest.raises(InsufficientStorage):
            await log.append("audits", {})
        with pytest.raises(InsufficientStorage, match="the disk refused a run-log line: Not a directory"):
            log.require_room()
        (writer / "audits").unlink()
        await log.append("audits", {})
        log.require_room()


async def test_store_that_comes_back_gets_what_waited(tmp_path: Path) -> None:
    store = MemoryObjects()
    store.is_down = True
    with running(tmp_path, store, spool_part_bytes=1) as log:
        for _ in range(20):
            await log.append("audits", {})
        wait_for(lambda: log.stats()["last_error"])
        store.is_down = False
        wait_for(lambda: log.stats()["depth_lines"] == 0)
    assert len(lines(store)) == 20


async def test_two_logs_on_one_spool_keep_apart(tmp_path: Path) -> None:
    store = MemoryObjects()
    with running(tmp_path, store) as one, running(tmp_path, store) as other:
        ids = [await log.append("audits", {}) for log in (one, other) * 10]
    assert sorted(line["run_id"] for line in lines(store)) == sorted(ids)


async def test_line_that_is_none_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, MemoryObjects()) as log:
        with pytest.raises(BadInput, match="is not JSON"):
            await log.append("audits", {"value": object()})
        with pytest.raises(BadInput, match="is unknown"):
            await log.append("../etc", {})
        with pytest.raises(BadInput, match="bytes"):
            await log.append("audits", {"text": "x" * MAX_LINE_BYTES})


async def test_stopped_log_refuses(tmp_path: Path) -> None:
    log = EventLog(settings_of(tmp_path), MemoryObjects())
    with pytest.raises(Unavailable, match="is stopped"):
        await log.append("audits", {})
    with pytest.raises(Unavailable, match="is stopped"):
        log.require_room()


async def test_line_that_nobody_waits_for_is_soon_on_disk(tmp_path: Path) -> None:
    store = MemoryObjects()
    store.is_down = True  # or the part is shipped, and gone, when its day ends
    with running(tmp_path, store) as log:
        await log.append("audits", {}, durable=False)
        wait_for(lambda: lines_on_disk(tmp_path) == 1)


async def test_stop_writes_what_nobody_waits_for(tmp_path: Path) -> None:
    store = MemoryObjects()
    with running(tmp_path, store) as log:
        ids = [await log.append("audits", {}, durable=number % 1000 == 0) for number in range(10_000)]
    assert [line["run_id"] for line in lines(store)] == ids
    assert log.stats()["dropped"] == 0


async def test_caller_that_goes_away_harms_nobody(tmp_path: Path) -> None:
    store = MemoryObjects()
    with running(tmp_path, store) as log:
        leaving = [asyncio.ensure_future(log.append("audits", {})) for _ in range(10)]
        await asyncio.sleep(0)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        run_id = await log.append("audits", {})
    assert run_id in {line["run_id"] for line in lines(store)}


def closed_parts(folder: Path) -> list[Path]:
    return sorted((folder / "spool").rglob("*.jsonl"))


async def test_part_that_vanishes_is_counted_and_holds_up_no_other(tmp_path: Path) -> None:
    store = MemoryObjects()
    store.is_down = True
    with running(tmp_path, store, spool_part_bytes=1) as log:
        await log.append("audits", {})
        wait_for(lambda: log.stats()["last_error"])
        (vanishing,) = closed_parts(tmp_path)
        vanishing.unlink()
        kept = [await log.append("audits", {}) for _ in range(3)]
        store.is_down = False
        wait_for(lambda: log.stats()["depth_lines"] == 0)
        kept.append(await log.append("audits", {}))
        wait_for(lambda: log.stats()["depth_lines"] == 0)
        assert (log.stats()["dropped"], log.stats()["has_failed"], log.stats()["depth_bytes"]) == (1, False, 0)
    assert sorted(line["run_id"] for line in lines(store)) == sorted(kept)


async def test_part_that_cannot_be_read_waits_and_holds_up_no_other(tmp_path: Path) -> None:
    store = MemoryObjects()
    store.is_down = True
    with running(tmp_path, store, spool_part_bytes=1) as log:
        unreadable = await log.append("audits", {})
        wait_for(lambda: log.stats()["last_error"])
        (part,) = closed_parts(tmp_path)
        aside = part.rename(tmp_path / "aside")
        part.mkdir()
        run_id = await log.append("audits", {})
        store.is_down = False
        wait_for(lambda: log.stats()["shipped_parts"] == 1)
        wait_for(lambda: log.stats()["last_error"])
        assert [line["run_id"] for line in lines(store)] == [run_id]
        part.rmdir()
        aside.rename(part)
        wait_for(lambda: log.stats()["shipped_parts"] == 2)
    assert sorted(line["run_id"] for line in lines(store)) == sorted([unreadable, run_id])


class WritersClock:
    """A clock that fails in the thread of the writer, which asks it when it closes parts."""

    def __init__(self, failure: Exception) -> None:
        self.failure: Exception | None = failure
        self.failed = threading.Event()

    def __call__(self) -> datetime:
        if self.failure is not None and threading.current_thread().name == "event-log-writer":
            self.failed.set()
            raise self.failure
        return utc_now()


async def test_disk_that_refuses_to_close_parts_stops_no_writer(tmp_path: Path) -> None:
    store, clock = MemoryObjects(), WritersClock(OSError(5, "Input/output error"))
    log = EventLog(settings_of(tmp_path), store, clock=clock)
    log.start()
    async with asyncio.timeout(60):
        ids = [await log.append("audits", {}) for _ in range(3)]
        assert log.stats()["last_error"] == "the disk refused to close a part of the run log: Input/output error"
        clock.failure = None
        ids.append(await log.append("audits", {}))
    log.stop()
    assert sorted(line["run_id"] for line in lines(store)) == sorted(ids)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_dead_writer_answers_everybody_and_refuses_what_comes(tmp_path: Path) -> None:
    store, clock = MemoryObjects(), WritersClock(RuntimeError("a fault"))
    log = EventLog(settings_of(tmp_path), store, clock=clock)
    log.start()
    async with asyncio.timeout(60):
        outcomes = await asyncio.gather(*(log.append("audits", {}) for _ in range(200)), return_exceptions=True)
        await asyncio.to_thread(clock.failed.wait)
        wait_for(lambda: log.stats()["has_failed"])
        with pytest.raises(Unavailable, match="has failed"):
            await log.append("audits", {})
        await log.append("searches", {}, durable=False)
    assert log.stats()["dropped"] == 1
    acknowledged = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert all(isinstance(outcome, str | Unavailable) for outcome in outcomes)
    log.stop()
    assert sorted(line["run_id"] for line in lines(store)) == sorted(acknowledged)
    assert list((tmp_path / "spool").iterdir()) == []


class FaultyObjects(MemoryObjects):
    """Fails as no store should."""

    def put(self, *_: object, **__: object) -> ObjectInfo:
        raise RuntimeError("a fault")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_dead_shipper_refuses_lines_and_leaves_them_for_the_next_start(tmp_path: Path) -> None:
    with running(tmp_path, FaultyObjects(), spool_part_bytes=1) as log:
        run_id = await log.append("audits", {})
        wait_for(lambda: log.stats()["has_failed"])
        with pytest.raises(Unavailable, match="has failed"):
            await log.append("audits", {})
    store = MemoryObjects()
    with running(tmp_path, store) as log:
        wait_for(lambda: log.stats()["shipped_parts"] == 1)
    assert [line["run_id"] for line in lines(store)] == [run_id]


@pytest.mark.parametrize("acknowledged_lines", [1, 200, 2000])
def test_killed_writer_loses_no_acknowledged_line(tmp_path: Path, acknowledged_lines: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdout=subprocess.PIPE, env=process_environ(), cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().decode().strip() for _ in range(acknowledged_lines)]
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().decode()
    acknowledged += rest[: rest.rfind("\n") + 1].split()
    process.stdout.close()
    process.wait()
    store = MemoryObjects()
    with running(tmp_path, store) as log:
        wait_for(lambda: log.stats()["shipped_parts"])
    shipped = [line["run_id"] for line in lines(store)]
    assert len(shipped) == len(set(shipped))
    assert set(acknowledged) <= set(shipped)
    assert list((tmp_path / "spool").iterdir()) == []
