"""The writer of a memory log: what gathers while the last group is written is the next group.

A group waits until the current turn of the event loop is over, so that requests that came together share it: an object
for the first of them alone would delay the others. Groups of several writes keep a distance (see group_pace.py). A
group is one object; its callers are answered together, with one wake-up for each event loop, when the object is in the
bucket and in the state.

Belongs here: grouping, the thread, answers. Not here: the object's way into the bucket (see memory_stream.py).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import msgspec
import structlog

from lakehouse.adapters.group_answers import Waiter, answer_all, coroutine_waiter, thread_waiter
from lakehouse.adapters.group_pace import GroupPace
from lakehouse.adapters.memory_applied import AppliedLog
from lakehouse.adapters.memory_stream import OwnStream
from lakehouse.errors import LakehouseError, StoreUnavailable, Unavailable
from lakehouse.memory.entry import Draft, Entry
from lakehouse.memory.hybrid_clock import HybridClock

_GROUP_ENTRIES = 4096
_GROUP_BYTES = 4 << 20
_WAITING_BYTES = 64 << 20
_SETTLE_S = 1.0
# Turns of an event loop are much shorter; a loop that is blocked must not delay the writes of others.
_LONGEST_TURN_S = 0.1
# Writing an object costs the store and this process some 4 ms of processor time.
_APART_S = 0.02
_log = structlog.get_logger("lakehouse.memory")

Answer = Entry | Exception


class _Caller(msgspec.Struct, frozen=True):
    draft: Draft
    waiter: Waiter[Entry]


class MemoryWriter:
    """Accepts drafts from any thread or loop and writes them in groups, in the order they came.

    Args:
        stream: Where groups go.
        applied: Takes them in.
        clock: Gives their order.
    """

    def __init__(self, stream: OwnStream, applied: AppliedLog, clock: HybridClock) -> None:
        self._stream = stream
        self._applied = applied
        self._clock = clock
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._pace = GroupPace(_APART_S)
        self._waiting: list[_Caller] = []
        self._waiting_bytes = 0
        self._turns: set[asyncio.AbstractEventLoop] = set()
        self._group: list[_Caller] = []
        self._is_running = False
        self._thread: threading.Thread | None = None
        self.counts = {"groups": 0, "failed_groups": 0, "late_entries": 0}
        self.last_error: str | None = None

    def start(self) -> None:
        """Begin to write."""
        self._is_running = True
        self._thread = threading.Thread(target=self._run, name="memory-writer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what was accepted, or answer it with an error; then refuse."""
        with self._lock:
            self._is_running = False
        self._ready.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    @property
    def is_running(self) -> bool:
        """False before `start`, after `stop`, and when a fault has ended the thread."""
        return self._is_running

    @property
    def pending(self) -> int:
        """Entries that wait for their group to begin."""
        return len(self._waiting)

    async def append(self, draft: Draft) -> Entry:
        """Write one entry; see `MemoryLog.append`."""
        waiter, future = coroutine_waiter()
        self._submit(_Caller(draft, waiter))
        loop = future.get_loop()
        if loop not in self._turns:
            self._turns.add(loop)
            loop.call_soon(self._end_turn, loop)
        return await future  # type: ignore[no-any-return]

    def append_sync(self, draft: Draft) -> Entry:
        """The same for threads."""
        waiter, future = thread_waiter()
        self._submit(_Caller(draft, waiter))
        self._ready.set()
        return future.result()  # type: ignore[no-any-return]

    def _end_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._turns.discard(loop)
        self._ready.set()

    def _submit(self, caller: _Caller) -> None:
        size = len(caller.draft.payload_json)
        with self._lock:
            if not self._is_running:
                raise Unavailable(f"the memory log {self._applied.table!r} is stopped", retry_after_s=5)
            if self._waiting_bytes + size > _WAITING_BYTES:
                raise Unavailable(
                    f"too many writes wait for the memory log {self._applied.table!r}; try again", retry_after_s=1
                )
            self._waiting.append(caller)
            self._waiting_bytes += size

    def _run(self) -> None:
        try:
            while self._write_group():
                pass
        finally:
            # When a fault has ended this thread, its callers are answered here, as nobody else would.
            with self._lock:
                self._is_running = False
                left, self._waiting = [*self._group, *self._waiting], []
            gone = Unavailable(f"the memory log {self._applied.table!r} is stopped", retry_after_s=5)
            _answer(left, [gone for _ in left])

    def _write_group(self) -> bool:
        """One round; False when it was the last."""
        self._group, is_ending = self._next_group()
        failure = None if self._stream.is_settled else self._settle()
        if failure is not None:
            self._fail(self._group, failure)
        elif self._group:
            self._commit(self._group)
        self._group = []
        return not is_ending

    def _next_group(self) -> tuple[list[_Caller], bool]:
        """What has gathered; empty when the last object is to be settled meanwhile. True when nothing can follow."""
        self._pace.keep()
        # The event is set at the end of a loop's turn, by an append without a loop, and by `stop`.
        if not self._waiting and self._is_running:
            self._ready.wait(None if self._stream.is_settled else _SETTLE_S)
        elif self._turns and self._is_running:
            self._ready.wait(_LONGEST_TURN_S)
        self._ready.clear()
        with self._lock:
            group = self._cut()
            self._pace.begin(len(group))
            return group, not self._is_running and not self._waiting

    def _cut(self) -> list[_Caller]:
        size = count = 0
        for count, caller in enumerate(self._waiting, start=1):
            size += len(caller.draft.payload_json)
            if size >= _GROUP_BYTES or count >= _GROUP_ENTRIES:
                break
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        self._waiting_bytes -= size
        return group

    def _commit(self, group: list[_Caller]) -> None:
        drafts = [caller.draft for caller in group]
        try:
            written, size = self._stream.put(drafts, hlc=self._clock.tick(len(drafts)))
        except StoreUnavailable as error:
            told = f"{error.detail}; it may be recorded all the same: look before you send it again"
            self._fail(group, StoreUnavailable(told, **error.fields))
            return
        refused = self._applied.take(written, size=size)
        self.counts["groups"] += 1
        self.last_error = None
        answers = [refused.get(entry.op_id, entry) for entry in written.entries]
        _answer(group, answers)

    def _settle(self) -> LakehouseError | None:
        """Find out what became of a group whose callers have heard an error; the error when that fails again."""
        try:
            written, size = self._stream.settle()
        except StoreUnavailable as error:
            return error
        self.last_error = None
        # In the bucket after all: others may have read it, so it counts as recorded.
        self._applied.take(written, size=size)
        self.counts["late_entries"] += len(written.entries)
        _log.info("memory_group_settled", table=self._applied.table, seq=written.seq, recorded=len(written.entries))
        return None

    def _fail(self, group: list[_Caller], error: LakehouseError) -> None:
        self.counts["failed_groups"] += bool(group)
        # When nothing is left open the next write is as good as any.
        self.last_error = None if self._stream.is_settled else error.detail
        _answer(group, [type(error)(error.detail, **error.fields) for _ in group])


def _answer(group: Sequence[_Caller], answers: Sequence[Answer]) -> None:
    answer_all(zip((caller.waiter for caller in group), answers, strict=True))
