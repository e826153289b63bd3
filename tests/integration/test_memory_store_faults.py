"""The memory log while its store dies or hangs: errors, nothing half-recorded, and it goes on once it is back."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.errors import StoreUnavailable
from lakehouse.memory.keys import parse_object_key
from lakehouse.memory.log_object import read_object
from lakehouse.storage.objects import list_all
from tests.memory_logs import TABLE, Process, running, wait_until
from tests.servers import StoreServer, store_server

CALLERS = 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    """A store that these tests may kill."""
    with store_server(tmp_path_factory.mktemp("killed-store")) as server:
        yield server


@pytest.fixture
def objects(server: StoreServer) -> Iterator[S3ObjectStore]:
    yield server.objects()
    patient = server.objects()
    for info in list_all(patient, ""):
        patient.delete(info.key)


class Load:
    """Callers that write until they are told to end, and note what they heard."""

    def __init__(self, process: Process) -> None:
        self.acknowledged: set[str] = set()
        self.failures = 0
        self._process = process
        self._is_ending = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()

    def end(self) -> None:
        self._is_ending = True
        self._thread.join()

    async def _run(self) -> None:
        await asyncio.gather(*(self._call(name) for name in range(CALLERS)))

    async def _call(self, name: int) -> None:
        number = 0
        while not self._is_ending:
            number += 1
            try:
                entry = await self._process.log.append("record", {"n": f"{name}-{number}"}, actor="ann")
            except StoreUnavailable:
                self.failures += 1
            else:
                self.acknowledged.add(entry.op_id)
            await asyncio.sleep(0.01)


def recorded(store: S3ObjectStore) -> Counter[str]:
    found: Counter[str] = Counter()
    for info in list_all(store, f"log/{TABLE}/"):
        if (key := parse_object_key(info.key)) is not None:
            item = read_object(store.get(info.key).body, writer=key[1], seq=key[2])
            assert item.corrupt == ()
            found.update(entry.op_id for entry in item.entries)
    return found


def die(server: StoreServer) -> None:
    server.stop(how=signal.SIGKILL)


def hang(server: StoreServer) -> None:
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGSTOP)


def come_back(server: StoreServer) -> None:
    if server.process is None:
        server.start()
    else:
        os.kill(server.process.pid, signal.SIGCONT)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [die, hang])
def test_store_that_fails_under_load_loses_and_doubles_nothing(
    server: StoreServer, objects: S3ObjectStore, fault: object, tmp_path: Path
) -> None:
    hasty = server.objects(connect_timeout_s=0.5, read_timeout_s=1.0, max_attempts=1)
    with running(hasty, poll_s=0.1) as one, running(hasty, poll_s=0.1) as two:
        wait_until(lambda: one.log.is_replayed and two.log.is_replayed)
        load = Load(one)
        try:
            for _ in range(3):
                before = len(load.acknowledged)
                wait_until(lambda before=before: len(load.acknowledged) > before + 100)
                failed = load.failures
                fault(server)  # type: ignore[operator]
                wait_until(lambda failed=failed: load.failures > failed + CALLERS)
                seen = dict(one.state.entries)
                assert load.acknowledged <= seen.keys()  # reads go on
                come_back(server)
            before = len(load.acknowledged)
            wait_until(lambda before=before: len(load.acknowledged) > before + 100)
        finally:
            come_back(server)
            load.end()
        in_bucket = recorded(objects)
        assert load.acknowledged <= in_bucket.keys()
        assert set(in_bucket.values()) == {1}
        assert one.state.entries.keys() == in_bucket.keys()
        assert one.state.repeated == 0
        wait_until(lambda: two.state.entries.keys() == in_bucket.keys())
        late = len(in_bucket) - len(load.acknowledged)
        assert late == one.log.stats()["late_entries"]
        assert two.log.stats()["missing_objects"] == 0
