"""The fold: acknowledged entries move from the log into their table, under the lease.

Belongs here: what is folded when, in which portions. Not here: the table (see folded_rows.py), the lease's rules (see
lakehouse/memory/lease.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from lakehouse.adapters.background_turn import background_turn
from lakehouse.adapters.memory_applied import AppliedLog
from lakehouse.adapters.spare_memory import give_back
from lakehouse.errors import Conflict, NotFound, Unavailable
from lakehouse.memory.entry import Entry
from lakehouse.memory.keys import object_key, parse_object_key, stream_prefix
from lakehouse.memory.lease import LeaseHolder
from lakehouse.memory.log_object import read_object
from lakehouse.memory.state import FoldedRows
from lakehouse.storage.objects import ObjectStore

_PORTION_ENTRIES = 4_000
# Folding portions without a pause would keep the disk busy; between two of them writers have it for themselves.
_REST_SHARE, _LONGEST_REST_S = 3.0, 3.0
_PRUNE_S = 3600.0


class MemoryFolder:
    """Folds one memory table; one call at a time.

    Args:
        objects: The bucket.
        applied: What this process has taken in: nothing else is folded.
        folded: The table.
        lease: Decides who may.
        before_merge: Called with entries that are about to go into the table, by the process that holds the lease.
    """

    def __init__(
        self,
        objects: ObjectStore,
        applied: AppliedLog,
        folded: FoldedRows,
        lease: LeaseHolder,
        *,
        before_merge: Callable[[Sequence[Entry]], None] = lambda _: None,
    ) -> None:
        self._objects = objects
        self._table = applied.table
        self._applied = applied
        self._folded = folded
        self._lease = lease
        self._before_merge = before_merge
        self._lock = threading.Lock()
        self._pruned_s = time.monotonic()

    def fold(self, *, rest: Callable[[float], object] = lambda _: None) -> int:
        """Fold what is there; gives the number of entries, 0 while another process holds the lease.

        Args:
            rest: Told after each portion how many seconds nothing should be folded, for those who are in no hurry.

        Raises:
            StoreUnavailable: The store does not answer; what was folded before stays folded.
            LakehouseError: The table cannot be read or written.
        """
        with self._lock:
            self._folded.refresh()
            self._applied.forget(self._folded.folded_through)
            if not self._is_behind(self._folded.folded_through) or self._lease.acquire() is None:
                return 0
            self._folded.refresh()
            folded = sum(self._merge(*portion, rest) for portion in self._portions(dict(self._folded.folded_through)))
            give_back()  # Lance's writer takes a multiple of what it writes
            return folded

    def rebuild(self) -> dict[str, int]:
        """Make the table anew of its rows that can be read and of all that is in the log.

        Raises:
            Unavailable: Another process is folding.
        """
        with self._lock:
            lease = self._lease.acquire()
            if lease is None:
                raise Unavailable(f"another process is folding {self._table!r}; try again", retry_after_s=30)
            through = {s.writer: s.through for s in list(self._applied.streams.values()) if s.through}
            entries = (
                entry
                for writer, last in through.items()
                for _, found in self._objects_of(writer, 0, last)
                for entry in found
            )
            return self._folded.rebuild(entries, through, fence=lease.fence)

    def release(self) -> None:
        """Let another process fold."""
        with self._lock:
            self._lease.release()

    def _is_behind(self, folded_through: Mapping[str, int]) -> bool:
        streams = list(self._applied.streams.values())
        return any(stream.through > folded_through.get(stream.writer, 0) for stream in streams)

    def _portions(self, through: dict[str, int]) -> Iterator[tuple[list[Entry], dict[str, int]]]:
        """Entries and how far all streams are folded with them."""
        entries: list[Entry] = []
        through = self._without_purged(through)
        for stream in list(self._applied.streams.values()):
            first, last = through.get(stream.writer, 0), stream.through
            if last <= first:
                continue
            for seq, found in self._objects_of(stream.writer, first, last):
                entries += found
                through[stream.writer] = seq
                if len(entries) >= _PORTION_ENTRIES:
                    yield entries, dict(through)
                    entries = []
            through[stream.writer] = last
        yield entries, through

    def _merge(self, entries: list[Entry], through: dict[str, int], rest: Callable[[float], object]) -> int:
        with background_turn():
            begun_s = time.monotonic()
            count = self._merge_now(entries, through)
        rest(min(_LONGEST_REST_S, _REST_SHARE * (time.monotonic() - begun_s)))
        return count

    def _merge_now(self, entries: list[Entry], through: dict[str, int]) -> int:
        lease = self._lease.acquire()  # renews it
        if lease is None:
            return 0
        self._before_merge(entries)
        try:
            self._folded.merge(entries, through, fence=lease.fence)
        except Conflict:
            return 0  # this process paused so long that another has taken over and folds these, too
        self._applied.forget(self._folded.folded_through)
        return len(entries)

    def _objects_of(self, writer: str, after: int, last: int) -> Iterator[tuple[int, tuple[Entry, ...]]]:
        kept = self._applied.tail(writer, after + 1, last)
        if kept is not None:
            yield from enumerate(kept, start=after + 1)
            return
        prefix = stream_prefix(self._table, writer)
        start_after = object_key(self._table, writer, after) if after else ""
        while True:
            page = self._objects.list(prefix, start_after=start_after)
            for info in page.objects:
                key = parse_object_key(info.key)
                if key is None:
                    continue
                if key[2] > last:
                    return
                yield key[2], self._entries_of(info.key, writer, key[2])
            if page.next is None:
                return
            start_after = page.next

    def _entries_of(self, key: str, writer: str, seq: int) -> tuple[Entry, ...]:
        try:
            return read_object(self._objects.get(key).body, writer=writer, seq=seq).entries
        except NotFound:
            return ()  # removed since it was listed

    def _without_purged(self, through: dict[str, int]) -> dict[str, int]:
        """Forget streams of which retention has left nothing: it takes a stream's newest object only when it ended."""
        now_s = time.monotonic()
        if now_s - self._pruned_s < _PRUNE_S:
            return through
        self._pruned_s = now_s
        kept = {
            writer: seq
            for writer, seq in through.items()
            if self._objects.list(stream_prefix(self._table, writer), limit=1).objects
        }
        for writer in through.keys() - kept.keys():
            self._applied.drop(writer)
        return kept
