"""What one process has read of a memory log: the state, the position in each stream, who waits for what.

Belongs here: bookkeeping under one lock. Not here: where objects come from (see memory_writer.py,
memory_follower.py), the rules of a stream (see lakehouse/memory/stream.py).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import structlog

from lakehouse.adapters.giving_way import breathe
from lakehouse.adapters.kept_entries import KeptEntries, Place
from lakehouse.errors import Unavailable
from lakehouse.memory.entry import Entry, Order
from lakehouse.memory.hybrid_clock import HybridClock
from lakehouse.memory.log_object import LogObject
from lakehouse.memory.state import MemoryState
from lakehouse.memory.stream import Gap, Stream

# Entries that wait for the fold are kept on the local disk up to this size; beyond it they are read from the bucket.
_TAIL_BYTES = 64 << 20
_ROWS_AT_ONCE = 1000
_BREATH_ENTRIES = 256
_log = structlog.get_logger("lakehouse.memory")


class AppliedLog:
    """Feeds the state, one call at a time; thread-safe.

    Args:
        table: Name of the memory table, for log lines.
        state: What entries add up to.
        clock: Advanced by what is read.
        folder: Of the files in which entries wait for the fold; None: that of the system.
    """

    def __init__(self, table: str, state: MemoryState, clock: HybridClock, *, folder: Path | None = None) -> None:
        self.table = table
        self.streams: dict[str, Stream] = {}
        self.counts = {"entries": 0, "corrupt_lines": 0, "refused_entries": 0, "lost_objects": 0}
        self._state = state
        self._clock = clock
        self._newest: Order | None = None
        self._tail = KeptEntries(folder)
        self._waiters: list[tuple[Order, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._lock = threading.RLock()

    @property
    def revision(self) -> str:
        """Text of the newest order taken in; empty when there is none."""
        return "" if self._newest is None else str(self._newest)

    @property
    def is_tail_long(self) -> bool:
        """Whether the entries that wait for the fold take half of what may be kept here."""
        return self._tail.bytes > _TAIL_BYTES // 2

    @property
    def has_waiters(self) -> bool:
        """True while somebody waits for an entry of another process."""
        return any(not future.done() for _, _, future in self._waiters)

    @property
    def has_passing_gaps(self) -> bool:
        """True while objects are missing that will be given up after `gap_s`."""
        with self._lock:
            return any(not gap.is_listed for stream in self.streams.values() for gap in stream.gaps)

    def stream(self, writer: str) -> Stream:
        """The stream of a writer, begun when it is new."""
        with self._lock:
            return self.streams.setdefault(writer, Stream(writer))

    def take(self, item: LogObject, *, size: int, newest_at: datetime | None = None) -> dict[str, Exception]:
        """Take in one object.

        Args:
            item: What was read or written.
            size: Bytes of the object.
            newest_at: When it was written, by the store's clock.

        Returns:
            By op_id, what the state said to entries that it refused; they count as seen.
        """
        with self._lock:
            stream = self.stream(item.writer)
            refused = self._apply(item.entries)
            if item.seq > stream.seen:
                stream.note(item.seq, time.monotonic())
            else:
                stream.heal(item.seq)
            stream.newest_at = newest_at or stream.newest_at
            self._keep(item, size)
            self._count_corrupt(item)
            self._wake_waiters()
        return refused

    def take_rows(self, rows: Iterable[Entry]) -> None:
        """Take in folded entries."""
        for batch in _batches(rows):
            with self._lock:
                self._apply(batch)

    def cover(self, folded_through: Mapping[str, int]) -> None:
        """Note that the folded rows have every stream up to these numbers."""
        with self._lock:
            for writer, seq in folded_through.items():
                self.stream(writer).cover(seq)
            self._wake_waiters()

    def miss(self, stream: Stream, seq: int, *, newest_at: datetime, is_listed: bool) -> None:
        """Note that an object exists and cannot be read, or existed a moment ago."""
        with self._lock:
            now = time.monotonic()
            if seq > stream.seen:
                stream.note(seq, now)
            stream.fail(seq, now, is_listed=is_listed)
            stream.newest_at = newest_at

    def give_up(self, stream: Stream, gap: Gap) -> None:
        """Go on without objects of a stream that are nowhere, and log that."""
        with self._lock:
            stream.give_up(gap)
            self.counts["lost_objects"] += gap.last - gap.first + 1
            self._wake_waiters()
        _log.error("memory_objects_lost", table=self.table, writer=stream.writer, first=gap.first, last=gap.last)

    def has(self, order: Order) -> bool:
        """True when the object of an order has been taken in."""
        with self._lock:
            stream = self.streams.get(order.writer)
            return stream is not None and order.seq <= stream.seen and not stream.is_missing(order.seq)

    def wait(self, order: Order) -> asyncio.Future[None]:
        """A future of the running loop, done when the object of an order has been taken in."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            if self.has(order):
                future.set_result(None)
            else:
                self._waiters = [w for w in self._waiters if not w[2].done()]
                self._waiters.append((order, loop, future))
        return future

    def tail(self, writer: str, first: int, last: int) -> Iterator[tuple[Entry, ...]] | None:
        """Entries of the objects `first` to `last`, read one after the other, if all of them are kept here.

        Raises:
            Unavailable: While they are read: the disk fails. The bucket has them, and is asked the next time.
        """
        with self._lock:
            places = self._tail.find(writer, first, last)
        return None if places is None else self._read(writer, places)

    def forget(self, folded_through: Mapping[str, int]) -> None:
        """Drop what is folded from the tail."""
        with self._lock:
            self._tail.forget(folded_through)

    def drop(self, writer: str) -> None:
        """Forget a stream of which nothing is left."""
        with self._lock:
            self.streams.pop(writer, None)
            self._tail.drop(writer)

    def stats(self) -> dict[str, Any]:
        """Counts, and the streams' missing objects."""
        with self._lock:
            missing = sum(g.last - g.first + 1 for s in self.streams.values() for g in s.gaps)
            return {
                **self.counts,
                "streams": len(self.streams),
                "missing_objects": missing,
                "tail_bytes": self._tail.bytes,
            }

    def _apply(self, entries: Sequence[Entry]) -> dict[str, Exception]:
        refused: dict[str, Exception] = {}
        for entry in entries:
            self._clock.observe(entry.order.hlc)
        try:
            self._state.apply(entries)
        # An entry that the state cannot take must stop neither the log's threads nor the next start.
        except Exception:
            for entry in entries:
                try:
                    self._state.apply([entry])
                except Exception as error:
                    refused[entry.op_id] = error
                    _log.exception("memory_entry_refused", table=self.table, order=str(entry.order), op=entry.op)
        self.counts["entries"] += len(entries) - len(refused)
        self.counts["refused_entries"] += len(refused)
        if entries:
            newest = max(entry.order for entry in entries)
            self._newest = newest if self._newest is None else max(newest, self._newest)
        return refused

    def _keep(self, item: LogObject, size: int) -> None:
        if self._tail.bytes + size <= _TAIL_BYTES:
            self._tail.keep(item.writer, item.seq, item.entries, size)

    def _read(self, writer: str, places: Sequence[Place]) -> Iterator[tuple[Entry, ...]]:
        read = 0
        for place in places:
            if read >= _BREATH_ENTRIES:
                read = 0
                breathe()
            try:
                entries = place.read()
            except (OSError, ValueError, RecursionError) as error:
                with self._lock:
                    self._tail.drop(writer)
                told = f"entries of {self.table!r} that wait for the fold cannot be read from the disk ({error})"
                raise Unavailable(told, retry_after_s=1) from error
            read += len(entries)
            yield entries

    def _count_corrupt(self, item: LogObject) -> None:
        self.counts["corrupt_lines"] += len(item.corrupt)
        for line, reason in item.corrupt:
            _log.error(
                "memory_line_corrupt", table=self.table, writer=item.writer, seq=item.seq, line=line, reason=reason
            )

    def _wake_waiters(self) -> None:
        if not self._waiters:
            return
        waiting = []
        for order, loop, future in self._waiters:
            if future.done():
                continue
            if self.has(order):
                with suppress(RuntimeError):  # the loop has been closed
                    loop.call_soon_threadsafe(_finish, future)
            else:
                waiting.append((order, loop, future))
        self._waiters = waiting


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _batches(rows: Iterable[Entry]) -> Iterator[list[Entry]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, _ROWS_AT_ONCE)):
        yield batch
