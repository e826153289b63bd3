"""The stream that this process writes: one object after the other, each settled before the next.

Belongs here: the conditional PUT, and what became of one whose answer was lost. Not here: who waits for it (see
memory_writer.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from lakehouse.clock import new_id, utc_now
from lakehouse.errors import LakehouseError, PreconditionFailed, StoreUnavailable
from lakehouse.memory.entry import Draft
from lakehouse.memory.keys import STREAM_REST, object_key
from lakehouse.memory.log_object import VOID, LogObject, write_object
from lakehouse.storage.objects import ObjectStore

_CONTENT_TYPE = "application/x-ndjson"


class OwnStream:
    """Writes objects under a name of its own; used by one thread.

    Args:
        objects: The bucket.
        table: The memory table.
        clock: The time now, aware.
    """

    def __init__(self, objects: ObjectStore, table: str, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._objects = objects
        self._table = table
        self._clock = clock
        self._open: tuple[LogObject, bytes] | None = None
        self.writers: set[str] = set()
        self._begin()

    @property
    def is_settled(self) -> bool:
        """False while it is unknown whether the last object is in the bucket."""
        return self._open is None

    def put(self, drafts: Sequence[Draft], *, hlc: int) -> tuple[LogObject, int]:
        """Write a group as the next object; gives it and its size in bytes once it is in the bucket.

        Raises:
            StoreUnavailable: It may be there or not: `settle` must find out before the next `put`.
        """
        if self._is_old():
            self._begin()
        body, entries = write_object(drafts, hlc=hlc, writer=self.writer, seq=self._seq)
        written = LogObject(self.writer, self._seq, entries)
        self._open = (written, body)
        there = self._place(written, body)
        self._close()
        if there != body:
            self._begin()
            raise StoreUnavailable(f"{self._key(written)!r} belongs to another process; try again", retry_after_s=1)
        return written, len(body)

    def settle(self) -> tuple[LogObject, int]:
        """Make it certain what became of the last object: it is in the bucket, or can never get there.

        Returns:
            The object, without entries when it is not in the bucket, and its size.

        Raises:
            StoreUnavailable: The store does not answer; ask again.
        """
        if self._open is None:
            raise ValueError("nothing is open")
        written, body = self._open
        there = self._place(written, VOID)
        self._close()
        if there == body:
            return written, len(body)
        if there != VOID:
            self._begin()
        return LogObject(written.writer, written.seq, ()), 0

    def _place(self, item: LogObject, body: bytes) -> bytes:
        """Write an object where none is; gives what is there then."""
        key = self._key(item)
        try:
            self._objects.put(key, body, if_absent=True, content_type=_CONTENT_TYPE)
        except PreconditionFailed:
            # A PUT that is repeated after a lost answer finds its own object.
            return self._there(key)
        except StoreUnavailable:
            raise
        except LakehouseError as error:  # such as a bucket that is gone
            raise StoreUnavailable(f"the memory log cannot write: {error.detail}", retry_after_s=5) from None
        return body

    def _there(self, key: str) -> bytes:
        try:
            return self._objects.get(key).body
        except StoreUnavailable:
            raise
        except LakehouseError as error:
            raise StoreUnavailable(f"the memory log cannot read: {error.detail}", retry_after_s=5) from None

    def _key(self, item: LogObject) -> str:
        return object_key(self._table, item.writer, item.seq)

    def _begin(self) -> None:
        self.writer = new_id()
        self.writers.add(self.writer)
        self._seq = 1
        self._written_at = (self._clock(), time.monotonic())

    def _close(self) -> None:
        self._open = None
        self._seq += 1
        self._written_at = (self._clock(), time.monotonic())

    def _is_old(self) -> bool:
        # Readers stop looking at a stream that has rested, and find new streams by the time in their names. Both clocks
        # are asked, as either of them may have stood still.
        wall, monotonic = self._written_at
        rested_s = max((self._clock() - wall).total_seconds(), time.monotonic() - monotonic)
        return rested_s >= STREAM_REST.total_seconds()
