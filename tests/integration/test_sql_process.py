"""One SQL worker process: what is cancelled stops, what is not goes on, and nothing outlives its parent."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from lakehouse.adapters.sql_process import SqlProcess
from lakehouse.errors import InsufficientStorage, TimedOut
from lakehouse.query.request import EngineConfig, Execute, Prepare
from lakehouse.settings import process_environ

pytestmark = pytest.mark.anyio

ENDLESS = "SELECT count(*) FROM range(100000000000000)"
CONFIG = EngineConfig(
    endpoint="http://127.0.0.1:9", bucket="none", region="us-east-1", access_key_id="a", secret_access_key="b",
    session_token=None, read_timeout_s=5, memory_bytes=1 << 30, temp_bytes=1 << 30, threads=2, temp_folder="",
)  # fmt: skip

PARENT = """
import asyncio, sys
from pathlib import Path
from lakehouse.adapters.sql_process import SqlProcess
from tests.integration.test_sql_process import CONFIG, query, ENDLESS

async def main():
    worker = await SqlProcess.start(CONFIG, Path(sys.argv[1]))
    await worker.send(query(ENDLESS))
    print(worker.process.pid, flush=True)
    await worker.frame()

asyncio.run(main())
"""


# As a worker whose query ran out of memory: the engine gave it back and kept the addresses.
SWOLLEN = """
import mmap, os, pickle, sys
from lakehouse.adapters.sql_frames import FRAME
from lakehouse.errors import InsufficientStorage

kept = mmap.mmap(-1, int(sys.argv[1]), flags=mmap.MAP_PRIVATE)
error = pickle.dumps(InsufficientStorage("out of memory"))
os.write(1, FRAME.pack(b"X", len(error)) + error)
sys.stdin.read()
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[SqlProcess]:
    process = await SqlProcess.start(CONFIG, tmp_path)
    yield process
    await process.end()


def query(sql: str) -> Execute:
    return Execute(sql, (), True, "json", 100)


async def rows(worker: SqlProcess, sql: str) -> bytes:
    kind, payload = await worker.ask(query(sql))
    assert kind == b"J"
    body: bytes = pickle.loads(payload).body
    return body


async def test_cancelled_query_stops_and_the_next_one_runs(worker: SqlProcess) -> None:
    for pause_s in (0, 0.001, 0.02, 0.1):
        await worker.send(query(ENDLESS))
        await asyncio.sleep(pause_s)  # from before it began to the middle of it
        await worker.cancel()
        assert worker.is_sound
        assert await rows(worker, "SELECT 1") == b"[[1]]"


async def test_cancel_after_the_answer_harms_no_other_query(worker: SqlProcess) -> None:
    for number in range(50):
        await worker.send(query("SELECT 1"))
        # The worker may have answered already: what is cancelled is this query and no later one.
        await worker.cancel()
        assert await rows(worker, f"SELECT {number}") == f"[[{number}]]".encode()
        await worker.cancel()
        assert await rows(worker, "SELECT sum(range) FROM range(1000)") == b'[["499500"]]'
    assert worker.is_sound


async def test_cancelled_query_says_that_it_was_stopped(worker: SqlProcess) -> None:
    await worker.send(query(ENDLESS))
    asking = asyncio.ensure_future(worker.next())
    await asyncio.sleep(0.05)
    os.write(worker.cancelling, (1).to_bytes(8, "little"))
    with pytest.raises(TimedOut):
        await asyncio.wait_for(asking, 60)


async def test_cancel_while_a_statement_is_looked_at_keeps_the_worker(worker: SqlProcess) -> None:
    await worker.send(Prepare("SELECT " + "+".join(["1"] * 300)))
    await worker.cancel()
    assert worker.is_sound
    assert await rows(worker, "SELECT 1") == b"[[1]]"


async def swollen(tmp_path: Path, data_bytes: int) -> SqlProcess:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SWOLLEN, str(data_bytes), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    return SqlProcess(process, tmp_path / "sql", CONFIG, cancelling=-1)


async def test_worker_without_room_for_another_query_ends(tmp_path: Path) -> None:
    out_of_memory, stopped = await swollen(tmp_path, 1200 << 20), await swollen(tmp_path, 1200 << 20)
    with pytest.raises(InsufficientStorage):
        await out_of_memory.next()
    await stopped.frame()
    await stopped.cancel()
    for worker in (out_of_memory, stopped):
        assert not worker.is_sound
        assert worker.process.returncode == -signal.SIGKILL


async def test_worker_that_refused_a_query_and_has_room_is_kept(tmp_path: Path) -> None:
    worker = await swollen(tmp_path, 1)
    with pytest.raises(InsufficientStorage):
        await worker.next()
    assert worker.is_sound
    await worker.end()


def test_worker_ends_with_its_parent_in_the_middle_of_a_query(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stdout=subprocess.PIPE, env=process_environ(), cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    parent.send_signal(signal.SIGKILL)
    parent.wait(60)
    parent.stdout.close()
    worker.wait(60)
