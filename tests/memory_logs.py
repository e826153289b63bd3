"""What tests of the memory log share: logs that run, a store with faults, waiting for what another thread does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from lakehouse.adapters.memory_log import MemoryLog
from lakehouse.errors import NotFound, StoreUnavailable
from lakehouse.memory.state import FoldedRows
from lakehouse.storage.objects import ObjectInfo, ObjectStore, StoredObject
from tests.fakes.memory import Collected, FoldedInMemory, FoldedTable
from tests.fakes.objects import MemoryObjects

TABLE = "playbooks"


@dataclass
class Process:
    """One process's log with its state and its view of the table."""

    log: MemoryLog
    state: Collected
    folded: FoldedRows

    def numbers(self) -> list[object]:
        return [payload["n"] for payload in self.state.payloads()]


@contextmanager
def running(
    objects: ObjectStore,
    table: FoldedTable | None = None,
    *,
    poll_s: float = 0.02,
    folded: FoldedRows | None = None,
    **options: Any,
) -> Iterator[Process]:
    state, folded = Collected(), folded or FoldedInMemory(table)
    log = MemoryLog(objects, TABLE, state, folded, poll_s=poll_s, **options)
    log.start()
    try:
        yield Process(log, state, folded)
    finally:
        log.stop()


def wait_until(is_so: Callable[[], object], *, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


# A look that goes on when something is written may miss it; the one after it begins later and does not. How soon looks
# follow each other is `memory_poll_s`, which no setting raises above 1.5 s.
NEXT_LOOK = 2


def wait_for_looks(log: MemoryLog, times: int = NEXT_LOOK) -> None:
    """Return when the follower has gone through its whole round so often."""
    follower = log._follower
    for _ in range(times):
        before = follower.looked_s
        wait_until(lambda before=before: follower.looked_s != before)


def unavailable(key: str) -> StoreUnavailable:
    return StoreUnavailable(f"the object store did not answer for {key!r}", key=key, retry_after_s=5)


@dataclass
class FaultyObjects(MemoryObjects):
    """A bucket in memory whose log objects meet with faults.

    `puts` are taken one by one by the next writes of log objects: "fail" (not written), "lose" (written, answered with
    an error), "late" (answered with an error, written when `land` is called), "" (as it should be). `unreadable` are
    keys that are listed and not given, `unfound` those that are listed before they can be read, `announced` folders
    that are listed before anything is in them.
    """

    puts: list[str] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)
    unfound: set[str] = field(default_factory=set)
    announced: set[str] = field(default_factory=set)
    late: list[tuple[str, Any, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def put(self, key: str, body: Any, **options: Any) -> ObjectInfo:
        fault = self.puts.pop(0) if self.puts and key.endswith(".jsonl") else ""
        if fault == "late":
            self.late.append((key, body, options))
        if fault in ("late", "fail"):
            raise unavailable(key)
        written = super().put(key, body, **options)
        if fault == "lose":
            raise unavailable(key)
        return written

    def get(self, key: str) -> StoredObject:
        if key in self.unreadable:
            raise unavailable(key)
        if key in self.unfound:
            raise NotFound(f"no object {key!r}", key=key)
        return super().get(key)

    def folders(self, prefix: str, *, after: str = "") -> Sequence[str]:
        there = {name for name in self.announced if name > after}
        return sorted({*super().folders(prefix, after=after), *there})

    def land(self) -> list[Exception]:
        """Let the late writes reach the bucket; gives what they were told."""
        told: list[Exception] = []
        for key, body, options in self.late:
            try:
                super().put(key, body, **options)
            except Exception as error:
                told.append(error)
        self.late.clear()
        return told
