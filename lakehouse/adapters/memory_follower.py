"""The follower of a memory log: brings what other processes have written, and the past at the start.

A look lists the folders of streams, then what is new in each stream that may still be written. Objects are taken in
by the order of their first entries. A number that is missing in a stream is listed again at each look; when its time
is over the folded rows are read again, and if it is not in them either, it is lost and counted.

Belongs here: looks, replay, gaps. Not here: the thread (see memory_log.py), bookkeeping (see memory_applied.py).
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from lakehouse.adapters.memory_applied import AppliedLog
from lakehouse.clock import utc_now
from lakehouse.errors import LakehouseError, NotFound, StoreUnavailable
from lakehouse.memory.keys import STREAM_ENDED, named_at, object_key, parse_object_key, stream_prefix, table_prefix
from lakehouse.memory.log_object import LogObject, read_object
from lakehouse.memory.state import FoldedRows
from lakehouse.memory.stream import Gap, Stream
from lakehouse.storage.objects import ObjectInfo, ObjectStore

_PAGE = 1000
_WINDOW = 32
_READERS = 4
_SWEEP_S = 600.0
# Ids of streams sort by their start, so a look lists only those that may be new; clocks may differ by a day.
_NEW_STREAMS = timedelta(days=1)
_log = structlog.get_logger("lakehouse.memory")


@dataclass(frozen=True, slots=True)
class _Found:
    """An object of a stream that was listed; `item` None: it could not be read (`is_gone`: it vanished meanwhile)."""

    stream: Stream
    seq: int
    order: int
    newest_at: datetime
    size: int
    item: LogObject | None
    is_gone: bool = False


class MemoryFollower:
    """Reads streams of others into the applied log; `look` and `replay` are called by one thread at a time,
    `read_rows` by any.

    Args:
        objects: The bucket.
        applied: Takes in what is found.
        folded: The rows that were moved out of the log.
        own: Streams of this process, which are not read.
        clock: The time now, aware.
        gap_s: How long a missing object is waited for.
    """

    def __init__(
        self,
        objects: ObjectStore,
        applied: AppliedLog,
        folded: FoldedRows,
        *,
        own: Collection[str],
        clock: Callable[[], datetime] = utc_now,
        gap_s: float = 5.0,
    ) -> None:
        self._objects = objects
        self._table = applied.table
        self._applied = applied
        self._folded = folded
        self._own = own
        self._clock = clock
        self._gap_s = gap_s
        self._swept_s: float | None = None
        # A fold reads the rows, too; of two reads the later one decides what is reported about the table.
        self._reading = threading.Lock()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="memory-reader")
        self.folded_error: str | None = None
        self.looked_s: float | None = None

    def close(self) -> None:
        """End the threads."""
        self._readers.shutdown()

    def replay(self) -> None:
        """Take in the folded rows, then the log after them.

        Raises:
            StoreUnavailable: The store does not answer; call again, what was taken in stays.
        """
        self.read_rows()
        self._swept_s = None
        self.look()

    def read_rows(self) -> None:
        """Take in the folded rows; when the table cannot be read, report it and go on with the log alone."""
        with self._reading:
            try:
                self._folded.refresh()
                # Read before the rows, so that the rows are never older than this.
                through = dict(self._folded.folded_through)
                self._applied.take_rows(self._folded.read())
            except StoreUnavailable:
                raise
            except LakehouseError as error:
                self.folded_error = error.detail
                _log.error("memory_rows_unreadable", table=self._table, error=error.detail)
            else:
                self.folded_error = None
                self._applied.cover(through)

    def look(self) -> None:
        """Take in what is new in the bucket.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        begun_s, begun = time.monotonic(), self._clock()
        is_sweep = self._swept_s is None or begun_s - self._swept_s >= _SWEEP_S
        streams = self._streams(is_sweep)
        for found in heapq.merge(*map(self._new_in, streams), key=lambda found: found.order):
            self._take(found)
        for stream in streams:
            # A folder may be listed before there is an object in it.
            stream.has_ended = begun - (stream.newest_at or named_at(stream.writer)) > STREAM_ENDED
        self._mend()
        if is_sweep:
            self._swept_s = begun_s
        self.looked_s = time.monotonic()

    def _streams(self, is_sweep: bool) -> list[Stream]:
        """The streams that may have something new; all of them now and then."""
        since = self._clock() - _NEW_STREAMS
        after = "" if is_sweep else f"{int(since.timestamp() * 1000):012x}"
        after = f"{after[:8]}-{after[8:]}" if after else ""
        for writer in self._objects.folders(table_prefix(self._table), after=after):
            if writer not in self._own:
                self._applied.stream(writer)
        streams = list(self._applied.streams.items())
        return [s for writer, s in streams if writer not in self._own and (is_sweep or not s.has_ended)]

    def _new_in(self, stream: Stream) -> Iterator[_Found]:
        order, failed = 0, 0
        # The last object is listed again when only its number is known, for its time.
        after = stream.seen if stream.newest_at is not None else max(stream.seen - 1, 0)
        for listed in self._listed(stream, after):
            infos = [(seq, info) for seq, info in listed if seq > stream.seen]
            if len(infos) < len(listed):
                stream.newest_at = listed[0][1].modified_at
            for (seq, info), body in zip(infos, self._bodies(infos), strict=True):
                item = read_object(body, writer=stream.writer, seq=seq) if isinstance(body, bytes) else None
                if item is not None and item.entries:
                    order = item.entries[0].order.hlc
                is_gone = isinstance(body, NotFound)
                yield _Found(stream, seq, order, info.modified_at, info.size, item, is_gone)
                failed = failed + 1 if isinstance(body, StoreUnavailable) else 0
                if failed > 1:
                    return  # the store is failing; the next look goes on here

    def _listed(self, stream: Stream, after: int, *, page_size: int = _PAGE) -> Iterator[list[tuple[int, ObjectInfo]]]:
        """Windows of a stream's objects after a number."""
        prefix = stream_prefix(self._table, stream.writer)
        start_after = object_key(self._table, stream.writer, after) if after else ""
        while True:
            page = self._objects.list(prefix, limit=page_size, start_after=start_after)
            found = [(key[2], info) for info in page.objects if (key := parse_object_key(info.key)) is not None]
            for first in range(0, len(found), _WINDOW):
                yield found[first : first + _WINDOW]
            if page.next is None:
                return
            start_after = page.next

    def _bodies(self, infos: list[tuple[int, ObjectInfo]]) -> Iterator[bytes | LakehouseError]:
        keys = [info.key for _, info in infos]
        return map(self._read, keys) if len(keys) < 2 else self._readers.map(self._read, keys)

    def _read(self, key: str) -> bytes | LakehouseError:
        try:
            return self._objects.get(key).body
        except (StoreUnavailable, NotFound) as error:
            return error

    def _take(self, found: _Found) -> None:
        if found.item is not None:
            self._applied.take(found.item, size=found.size, newest_at=found.newest_at)
        else:
            self._applied.miss(found.stream, found.seq, newest_at=found.newest_at, is_listed=not found.is_gone)

    def _mend(self) -> None:
        """Look for what is missing; what stays away is in the folded rows, or lost."""
        for stream in list(self._applied.streams.values()):
            for gap in list(stream.gaps):
                self._read_again(stream, gap)
        if not self._overdue():
            return
        self.read_rows()
        for stream, gap in self._overdue():
            self._applied.give_up(stream, gap)

    def _overdue(self) -> list[tuple[Stream, Gap]]:
        now_s = time.monotonic()
        streams = list(self._applied.streams.values())
        return [(stream, gap) for stream in streams for gap in stream.lost(now_s, after_s=self._gap_s)]

    def _read_again(self, stream: Stream, gap: Gap) -> None:
        is_there = False
        page_size = min(gap.last - gap.first + 2, _PAGE)
        for infos in self._listed(stream, gap.first - 1, page_size=page_size):
            inside = [(seq, info) for seq, info in infos if seq <= gap.last]
            is_there = is_there or bool(inside)
            for (seq, info), body in zip(inside, self._bodies(inside), strict=True):
                if isinstance(body, bytes):
                    item = read_object(body, writer=stream.writer, seq=seq)
                    self._applied.take(item, size=info.size)
            if len(inside) < len(infos):
                break
        if gap.is_listed and not is_there:
            gap.is_listed, gap.since_s = False, time.monotonic()
