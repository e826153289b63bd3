"""The memory log of one table: writes that are durable before they are acknowledged, and seen by every process.

An acknowledged entry is an object in the bucket and part of this process's state. A write whose group could not be
written raises `StoreUnavailable`. When the store answers again, the fate of that group is settled before anything else
is written: either it can never get into the bucket any more, or it was there all along; then others may have read it,
and it counts as recorded (`late_entries` in `stats`). No entry is applied twice.

Belongs here: the threads' life and what callers use. Not here: writing (see memory_writer.py), reading (see
memory_follower.py), folding (see memory_folder.py).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from lakehouse.adapters.memory_applied import AppliedLog
from lakehouse.adapters.memory_faults import is_fault, told
from lakehouse.adapters.memory_folder import MemoryFolder
from lakehouse.adapters.memory_follower import MemoryFollower
from lakehouse.adapters.memory_stream import OwnStream
from lakehouse.adapters.memory_writer import MemoryWriter
from lakehouse.clock import new_id, utc_now
from lakehouse.errors import StoreUnavailable, Unavailable
from lakehouse.memory.entry import Draft, Entry, Order, make_draft
from lakehouse.memory.hybrid_clock import HybridClock, physical_time
from lakehouse.memory.keys import STREAM_ENDED, check_table, lease_key
from lakehouse.memory.lease import LeaseHolder
from lakehouse.memory.state import FoldedRows, MemoryState
from lakehouse.storage.objects import ObjectStore

_AWAITED_POLL_S = 0.05  # while somebody waits for an entry of another process
_LOOK_S, _REST_S = 0.5, 5.0  # pause between checks whether to fold, and between two folds
_log = structlog.get_logger("lakehouse.memory")
Upkeep = Callable[[Sequence[Entry], Callable[..., Entry]], None]  # given entries, and what appends others


class MemoryLog:
    """Appends to one memory table and follows what others append; all methods are thread-safe.

    Args:
        objects: The bucket. A hanging store holds writes up for as long as its deadlines allow: give them a short one.
        table: Name of the memory table: `playbooks`, `pathways`.
        state: What entries add up to; fed before a write is acknowledged.
        folded: The table that entries are moved into.
        clock: The time now, aware.
        poll_s: How often other processes' entries are looked for, at most 1.5.
        fold_s: How often to fold in the background; None: only `fold` does.
        gap_s: How long a missing object is waited for.
        lease_s: How long after the death of a process that folds another takes over.
        upkeep: Called by the process that folds, with entries that are about to go into the table and with
            `append_sync`; in the background also with none, once in `fold_s`. Entries whose upkeep failed are folded.
        folder: For unlinked files in which entries wait for the fold; None: the system's temporary folder.
    """

    def __init__(
        self,
        objects: ObjectStore,
        table: str,
        state: MemoryState,
        folded: FoldedRows,
        *,
        clock: Callable[[], datetime] = utc_now,
        poll_s: float = 1.0,
        fold_s: float | None = None,
        gap_s: float = 5.0,
        lease_s: float = 30.0,
        upkeep: Upkeep | None = None,
        folder: Path | None = None,
    ) -> None:
        self.table = check_table(table)
        self._clock = clock
        self._poll_s = poll_s
        self._fold_s = fold_s
        self._gap_s = gap_s
        hybrid = HybridClock(clock)
        self._applied = AppliedLog(table, state, hybrid, folder=folder)
        self._stream = OwnStream(objects, table, clock=clock)
        self._writer = MemoryWriter(self._stream, self._applied, hybrid)
        self._follower = MemoryFollower(
            objects, self._applied, folded, own=self._stream.writers, clock=clock, gap_s=gap_s
        )
        lease = LeaseHolder(
            objects, lease_key(table),
            published_fence=lambda: folded.fence, clock=clock, duration=timedelta(seconds=lease_s),
        )  # fmt: skip
        self._upkeep = upkeep
        self._folder = MemoryFolder(objects, self._applied, folded, lease, before_merge=self._keep_up)
        self._is_replayed = False
        self._last_error: str | None = None
        self._fold_error: str | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Replay, and begin to write, follow and fold.

        When the store does not answer, the replay goes on in the background: until it is done, writes are refused.
        """
        self._stopping.clear()
        self._writer.start()
        self._look()
        self._threads = [threading.Thread(target=self._follow, name="memory-follower", daemon=True)]
        if self._fold_s is not None:
            self._threads.append(threading.Thread(target=self._fold_all, name="memory-folder", daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Write what was accepted, and end; another process may fold at once."""
        self._writer.stop()
        self._stopping.set()
        self._wake.set()
        for thread in self._threads:
            thread.join()
        self._threads = []
        self._follower.close()
        try:
            self._folder.release()
        except StoreUnavailable as error:
            _log.warning("memory_lease_kept", table=self.table, error=error.detail)

    async def append(self, op: str, payload: Mapping[str, Any], *, actor: str) -> Entry:
        """Write one entry; gives it when it is in the bucket and in the state, the text of its order as `revision`.

        A caller that is cancelled while it waits may find its entry recorded later.

        Args:
            op: What is done.
            payload: A JSON object of at most 1 MiB.
            actor: Who does it.

        Raises:
            BadInput: The payload is no JSON.
            TooLarge: It is too large.
            StoreUnavailable: The store did not take it (see the module).
            Unavailable: Too many writes wait, the log is stopped, or it has not been read since the start.
        """
        return await self._writer.append(self._draft(op, payload, actor))

    def append_sync(self, op: str, payload: Mapping[str, Any], *, actor: str) -> Entry:
        """The same for threads."""
        return self._writer.append_sync(self._draft(op, payload, actor))

    async def wait_for(self, revision: str, timeout_s: float = 2.0) -> None:
        """Return when the entry of a revision, and its whole group, is in this process's state.

        Args:
            revision: What a write answered, on whichever process; empty: nothing to wait for.
            timeout_s: Longest wait.

        Raises:
            BadInput: It is no revision.
            Unavailable: It did not get here in time.
        """
        if not revision or self._has(order := Order.parse(revision)):
            return
        arrived = self._applied.wait(order)
        self._wake.set()
        try:
            async with asyncio.timeout(timeout_s):
                await arrived
        except TimeoutError:
            late = f"{self.table!r} has not seen revision {revision!r} within {timeout_s:g} s; try again"
            raise Unavailable(late, retry_after_s=1) from None

    @property
    def revision(self) -> str:
        """Of the newest entry in this process's state; empty when there is none."""
        return self._applied.revision

    @property
    def is_replayed(self) -> bool:
        """Whether the past has been read."""
        return self._is_replayed

    def require_replayed(self) -> None:
        """Raise `Unavailable` until this process has read the log from its beginning."""
        if not self._is_replayed:
            raise Unavailable(f"the log {self.table!r} has not been read since the start; try again", retry_after_s=2)

    def stats(self) -> dict[str, Any]:
        """What waits, what was read, what was skipped, and what failed last.

        Returns:
            `pending` (entries whose group has not begun), `is_running`, `is_replayed`, `entries`, `corrupt_lines`,
            `refused_entries`, `late_entries`, `lost_objects`, `missing_objects`, `lag_s` (since the last whole look;
            None before the first), `last_error`, and more.
        """
        looked_s = self._follower.looked_s
        return {
            "pending": self._writer.pending,
            "is_running": self._writer.is_running and all(thread.is_alive() for thread in self._threads),
            "is_replayed": self._is_replayed,
            "lag_s": None if looked_s is None else round(time.monotonic() - looked_s, 3),
            "last_error": self._writer.last_error
            or self._last_error
            or self._fold_error
            or self._follower.folded_error,
            **self._writer.counts,
            **self._applied.stats(),
        }

    def fold(self, rest: Callable[[float], object] = lambda _: None) -> int:
        """Move entries into the table; gives their number, 0 while another folds. `rest`: see `MemoryFolder.fold`.

        Raises:
            Unavailable: The store does not answer, or the log has not been read since the start.
            LakehouseError: The table cannot be read or written; `rebuild` mends it.
        """
        self.require_replayed()
        if self._follower.folded_error is not None:
            self._follower.read_rows()  # it may have been mended
        return self._folder.fold(rest=rest)

    def rebuild(self) -> dict[str, int]:
        """Make the table anew of the rows that can still be read and of what is in the log.

        Returns:
            `rows`, and how many came `from_table` and `from_log`.

        Raises:
            Unavailable: The store does not answer, or another process is folding.
        """
        self.require_replayed()
        # Entries that retention has removed look like a gap when no table has them; wait until the gap has been given
        # up.
        give_up = time.monotonic() + 2 * self._gap_s
        while self._applied.has_passing_gaps and time.monotonic() < give_up:
            self._stopping.wait(self._poll_s)
        report = self._folder.rebuild()
        self._follower.read_rows()
        return report

    def _draft(self, op: str, payload: Mapping[str, Any], actor: str) -> Draft:
        self.require_replayed()
        return make_draft(op, payload, op_id=new_id(), actor=actor, recorded_at=self._clock())

    def _has(self, order: Order) -> bool:
        if self._applied.has(order):
            return True
        # The stream is gone: it ended, was folded, and retention has removed its objects.
        is_gone = self._is_replayed and order.writer not in self._applied.streams
        return is_gone and self._clock() - physical_time(order.hlc) > 2 * STREAM_ENDED

    def _follow(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(_AWAITED_POLL_S if self._applied.has_waiters else self._poll_s)
            self._wake.clear()
            if not self._stopping.is_set():
                self._look()

    def _look(self) -> None:
        try:
            if self._is_replayed:
                self._follower.look()
            else:
                self._follower.replay()
                self._is_replayed = True
        # Whatever it was, the next look may succeed; if the thread ended, this process would never catch up.
        except Exception as error:
            if self._last_error is None:
                _log.warning("memory_look_failed", table=self.table, error=str(error), exc_info=is_fault(error))
            self._last_error = told(error)
        else:
            self._last_error = None

    def _fold_all(self) -> None:
        while self._wait_for_work():
            try:
                self.fold(self._stopping.wait)
                self._keep_up(())
                self._fold_error = None
            except Exception as error:  # as above
                self._fold_error = told(error)
                _log.warning("memory_fold_failed", table=self.table, error=str(error), exc_info=is_fault(error))

    def _wait_for_work(self) -> bool:
        """Wait until it is time to fold, or so much waits that the bucket would have to be read for it."""
        due_s, early_s = time.monotonic() + (self._fold_s or 0), time.monotonic() + _REST_S
        while (now_s := time.monotonic()) < due_s and not (now_s >= early_s and self._applied.is_tail_long):
            if self._stopping.wait(min(due_s - now_s, _LOOK_S)):
                return False
        return not self._stopping.is_set()

    def _keep_up(self, entries: Sequence[Entry]) -> None:
        try:
            if self._upkeep is not None:
                self._upkeep(entries, self.append_sync)
        except Exception as error:  # as above; what is acknowledged must be folded all the same
            _log.warning("memory_upkeep_failed", table=self.table, error=str(error), exc_info=is_fault(error))
