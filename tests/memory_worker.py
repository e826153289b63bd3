"""A process that writes to the memory log until it is killed.

It says every acknowledged number and op_id, whole lines at a time. `kill_at` says where it kills itself: the prefix
of a key, before or after a write to it, and which such write.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from lakehouse.adapters.folded_rows import LanceFoldedRows
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.memory_log import MemoryLog
from lakehouse.adapters.objects import S3Location, S3ObjectStore
from lakehouse.adapters.s3_direct import DirectObjects
from lakehouse.memory.rows import RowRules
from tests.fakes.memory import Collected

TABLE = "playbooks"
RULES = RowRules(subject_field="subject", closing_ops=frozenset({"record"}))


@dataclass
class KillPoint:
    """Before or after the `number`-th write of a key that has `part` in it."""

    part: str
    when: str
    number: int


class DeadlyStore(DirectObjects):
    """The real store, with a point at which the process is killed."""

    def __init__(self, location: S3Location, point: KillPoint | None) -> None:
        super().__init__(location)
        self._point = point
        self._left = 0 if point is None else point.number

    def put(self, key: str, *args: Any, **options: Any) -> Any:
        is_here = self._point is not None and self._point.part in key
        self._left -= is_here
        is_now = is_here and self._left == 0
        if is_now and self._point is not None and self._point.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = super().put(key, *args, **options)
        if is_now:
            os.kill(os.getpid(), signal.SIGKILL)
        return done


def open_log(objects: S3ObjectStore, state: Collected, **options: Any) -> MemoryLog:
    """The log as these tests have it, over Lance."""
    folded = LanceFoldedRows(LanceTables(objects.location, objects), objects, TABLE, RULES)
    return MemoryLog(objects, TABLE, state, folded, lease_s=2.0, **options)


async def write(log: MemoryLog, said: int, name: str, callers: int, last: int, rest_s: float) -> None:
    numbers = iter(range(last))

    async def call() -> None:
        for number in numbers:
            payload = {"n": f"{name}-{number}", "subject": f"s{number % 100}", "text": "x" * 200}
            entry = await log.append("record", payload, actor=name)
            os.write(said, f"{name}-{number} {entry.op_id} {entry.order}\n".encode())
            if rest_s:
                await asyncio.sleep(rest_s)

    await asyncio.gather(*(call() for _ in range(callers)))


def work(
    location: S3Location,
    ends: tuple[Connection, Connection],
    name: str,
    *,
    kill_at: KillPoint | None = None,
    callers: int = 50,
    writes: int = 1_000_000,
    rest_s: float = 0,
) -> None:
    """What the process does; `ends` are those of the pipes in which it says lines and is told to end."""
    said, told = ends[0].fileno(), ends[1]
    log = open_log(DeadlyStore(location, kill_at), Collected(), poll_s=0.2, fold_s=0.1)
    log.start()
    os.write(said, b"started\n")
    asyncio.run(write(log, said, name, callers, writes, rest_s))
    os.write(said, b"done\n")
    told.poll(None)  # goes on following until then
    log.stop()
