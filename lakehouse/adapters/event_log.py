"""`EventLog`: run logs that are on disk before they are acknowledged, and in the bucket soon after.

Lines gather while the last group is being synced and form the next one: there is no timer, so that a lone line
waits for nothing and a crowd shares one sync.

Belongs here: the writer thread, waiting for it, the spool's limit. Not here: files (see event_spool.py), shipping
(see event_shipper.py), what a line is (see lakehouse/events).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from lakehouse.adapters.event_shipper import Shipper
from lakehouse.adapters.event_spool import Spool
from lakehouse.clock import new_id, utc_now
from lakehouse.errors import Unavailable
from lakehouse.events.envelope import check_stream, encode_line
from lakehouse.events.parts import Place, RotationRule, day_of
from lakehouse.settings import Settings
from lakehouse.storage.objects import ObjectStore

MAX_WAITING_BYTES = 64 << 20
STOP_DEADLINE_S = 5.0
RETRY_AFTER_S = 10

Waiter: TypeAlias = "asyncio.Future[None] | concurrent.futures.Future[None]"


@dataclass(slots=True)
class _Group:
    """The lines of one place that wait for the next write, and who waits for them."""

    lines: list[bytes] = field(default_factory=list)
    waiters: list[Waiter] = field(default_factory=list)


class EventLog:
    """Appends lines to streams; safe to use from any thread and event loop of its process.

    Args:
        settings: `spool_path` and the `spool_…` limits.
        objects: Where parts are shipped to.
        clock: Gives `recorded_at`.
    """

    def __init__(self, settings: Settings, objects: ObjectStore, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._max_bytes = settings.spool_max_bytes
        self._clock = clock
        self._spool = Spool(settings.spool_path, RotationRule(settings.spool_part_bytes, settings.spool_part_age_s))
        self._shipper = Shipper(self._spool, objects)
        self._wake = threading.Condition()
        self._groups: dict[Place, _Group] = {}
        self._waiting_bytes = 0
        self._is_running = False
        self._write_error: str | None = None
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="event-writer", daemon=True)

    def start(self) -> None:
        """Begin to take lines; a full disk does not stop the start, appends then say so."""
        try:
            self._spool.open()
        except OSError as error:
            self._write_error = f"the spool cannot be written: {error.strerror}"
        self._is_running = True
        self._thread.start()
        self._shipper.start()

    def stop(self) -> None:
        """Write what waits and ship what can be shipped within seconds; the rest stays on disk for the next start."""
        with self._wake:
            if not self._is_running:
                return
            self._is_running = False
            self._wake.notify()
        self._thread.join()
        self._shipper.stop(STOP_DEADLINE_S)
        self._spool.close()

    async def append(self, stream: str, line: Mapping[str, Any], *, durable: bool = True) -> str:
        """Append a line and return its `run_id`.

        Args:
            stream: One of `lakehouse.events.STREAMS`.
            line: The stream's fields; the envelope is added.
            durable: Return only when the line is on disk. Otherwise return at once, and count the line as dropped
                when there is no room.

        Raises:
            Unavailable: The spool is full or not writable, and the line is durable.
            BadInput: The line has no JSON form.
            TooLarge: It is too long.
        """
        waiter = asyncio.get_running_loop().create_future() if durable else None
        run_id = self._submit(stream, line, waiter)
        if waiter is not None:
            await waiter
        return run_id

    def append_sync(self, stream: str, line: Mapping[str, Any], *, durable: bool = True) -> str:
        """`append` for callers without an event loop."""
        waiter: concurrent.futures.Future[None] | None = concurrent.futures.Future() if durable else None
        run_id = self._submit(stream, line, waiter)
        if waiter is not None:
            waiter.result()
        return run_id

    def stats(self) -> dict[str, Any]:
        """Depth and losses: what waits on disk, its age, what was dropped and shipped, what went wrong last."""
        return {
            "depth_lines": self._spool.depth_lines,
            "depth_bytes": self._spool.depth_bytes,
            "oldest_age_s": round(self._spool.oldest_age_s(), 3),
            "dropped": self._dropped,
            "shipped_parts": self._shipper.shipped_parts,
            "last_error": self._write_error or self._shipper.last_error,
        }

    def _submit(self, stream: str, line: Mapping[str, Any], waiter: Waiter | None) -> str:
        now = self._clock()
        run_id = new_id()
        encoded = encode_line(line, run_id=run_id, recorded_at=now)
        place = Place(check_stream(stream), day_of(now))
        with self._wake:
            refusal = self._refusal(len(encoded))
            if refusal is not None:
                if waiter is not None:
                    raise Unavailable(refusal, retry_after_s=RETRY_AFTER_S)
                self._dropped += 1
                return run_id
            group = self._groups.get(place)
            if group is None:
                group = self._groups[place] = _Group()
            group.lines.append(encoded)
            if waiter is not None:
                group.waiters.append(waiter)
            self._waiting_bytes += len(encoded)
            self._wake.notify()
        return run_id

    def _refusal(self, size_bytes: int) -> str | None:
        if not self._is_running:
            return "the event log is not running"
        if self._waiting_bytes + size_bytes > MAX_WAITING_BYTES:
            return "the disk of the event log is slower than its writers; try again"
        if self._spool.depth_bytes + self._waiting_bytes + size_bytes > self._max_bytes:
            return "the event log's spool is full, since the object store has not taken its parts; try again later"
        return None

    def _write(self) -> None:
        is_running = True
        while is_running:
            with self._wake:
                if self._is_running and not self._groups:
                    self._wake.wait(self._spool.due_in_s())
                groups, self._groups = self._groups, {}
                is_running = self._is_running
            for place, group in groups.items():
                self._commit(place, group)
            if self._spool.seal_due(all_parts=not is_running):
                self._shipper.wake()

    def _commit(self, place: Place, group: _Group) -> None:
        refusal: str | None = None
        try:
            self._spool.append(place, group.lines)
        except OSError as error:
            refusal = f"the spool cannot be written: {error.strerror}"
        with self._wake:
            self._waiting_bytes -= sum(map(len, group.lines))
            if refusal is not None:
                self._dropped += len(group.lines) - len(group.waiters)
        self._write_error = refusal
        _settle(group.waiters, refusal)


def _settle(waiters: list[Waiter], refusal: str | None) -> None:
    """Tell the waiters of a group; those of an event loop by one call into it."""
    of_loops: dict[asyncio.AbstractEventLoop, list[Waiter]] = defaultdict(list)
    for waiter in waiters:
        if isinstance(waiter, concurrent.futures.Future):
            _settle_each([waiter], refusal)
        else:
            of_loops[waiter.get_loop()].append(waiter)
    for loop, of_loop in of_loops.items():
        # A loop that was closed has nobody who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle_each, of_loop, refusal)


def _settle_each(waiters: list[Waiter], refusal: str | None) -> None:
    for waiter in waiters:
        if waiter.done():  # its caller has gone away
            continue
        if refusal is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(Unavailable(refusal, retry_after_s=RETRY_AFTER_S))
