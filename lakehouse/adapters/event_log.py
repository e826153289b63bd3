"""The event log: lines acknowledged when they are on disk, and shipped to the bucket in parts.

One thread writes: the lines that came while the last group was made durable are the next group, so there is no timer.
Another thread ships closed parts; a part is removed here when the bucket has it.

Belongs here: the two threads, what is counted, what is refused. Not here: groups (see event_queue.py), files (see
spool.py), the envelope (see lakehouse/events).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from lakehouse.adapters.event_queue import Entry, EventQueue
from lakehouse.adapters.group_answers import Waiter, answer_all, coroutine_waiter, thread_waiter
from lakehouse.adapters.spool import Part, Spool
from lakehouse.clock import new_id, utc_now
from lakehouse.errors import InsufficientStorage, LakehouseError, Unavailable
from lakehouse.events.envelope import MAX_LINE_BYTES, make_line, part_key
from lakehouse.settings import Settings
from lakehouse.storage.objects import ObjectStore

_RETRY_S = 2.0
_STOP_SHIPPING_S = 5.0


class EventLog:
    """Appends lines to streams; safe for any number of threads and coroutines.

    Args:
        settings: Where the spool is, how large it and its parts may get.
        objects: Where parts go.
        clock: The time now, aware, in UTC.
    """

    def __init__(self, settings: Settings, objects: ObjectStore, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._settings = settings
        self._objects = objects
        self._clock = clock
        self._spool = Spool(settings.spool_path, monotonic=time.monotonic)
        self._queue = EventQueue()
        self._closed: deque[Part] = deque()
        self._counts = threading.Lock()
        self._depth_bytes = 0
        self._depth_lines = 0
        self._dropped = 0
        self._shipped_parts = 0
        self._last_error: str | None = None
        self._is_running = False
        self._has_failed = False
        self._refused_by_disk: str | None = None
        self._has_writer_ended = False
        self._in_hand: list[Entry] = []
        self._turns: set[asyncio.AbstractEventLoop] = set()
        self._wake_shipper = threading.Event()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Take over the spools that dead writers of this machine have left, and start the threads."""
        for part in self._spool.open():
            self._closed.append(part)
            self._count(part.size, part.lines)
        self._is_running = True
        self._threads = [
            threading.Thread(target=self._run_writer, name="event-log-writer", daemon=True),
            threading.Thread(target=self._run_shipper, name="event-log-shipper", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Write what was accepted and ship it if the bucket answers soon; the rest stays for the next start."""
        if not self._is_running:
            return
        self._is_running = False
        self._queue.end()
        self._threads[0].join()
        self._stopping.set()
        self._wake_shipper.set()
        self._threads[1].join(_STOP_SHIPPING_S)
        self._spool.release()

    async def append(self, stream: str, line: Mapping[str, Any], *, durable: bool = True) -> str:
        """Append one line; returns its run id, when the line is on disk if it is `durable`.

        Args:
            stream: One of the twelve streams.
            line: What happened; ids in it go into the envelope.
            durable: False: return at once, and count the line as dropped when the spool is full.

        Raises:
            BadInput: The line cannot be logged at all.
            Unavailable: The spool is full, or the log is not running or has failed.
            InsufficientStorage: The disk refused the line.
        """
        if not durable:
            return self._submit(stream, line)
        waiter, done = coroutine_waiter()
        run_id = self._submit(stream, line, waiter)
        loop = done.get_loop()
        if loop not in self._turns:
            self._turns.add(loop)
            loop.call_soon(self._end_turn, loop)
        await done
        return run_id

    def append_sync(self, stream: str, line: Mapping[str, Any], *, durable: bool = True) -> str:
        """The same for threads."""
        if not durable:
            return self._submit(stream, line)
        waiter, done = thread_waiter()
        run_id = self._submit(stream, line, waiter)
        self._queue.wake()
        done.result()
        return run_id

    def require_room(self) -> None:
        """Refuse an action whose line could not be kept, before it happens.

        Raises:
            Unavailable: The spool has no room for the largest line, or the log is not running or has failed.
            InsufficientStorage: The disk refused the line before; whatever line comes next tries it again.
        """
        most = self._settings.spool_max_bytes
        is_full = self._depth_bytes + min(MAX_LINE_BYTES, most // 4) > most  # at most a quarter of a small spool
        if is_full or not self._is_running or self._has_failed:
            raise self._refusal(is_full=is_full)
        if self._refused_by_disk is not None:
            raise InsufficientStorage(self._refused_by_disk)

    def stats(self) -> dict[str, Any]:
        """How much waits here, how much was dropped or shipped, why shipping fails, whether a thread has ended."""
        with self._counts:
            waiting = [part.opened_s for part in tuple(self._closed)]
            return {
                "depth_lines": self._depth_lines,
                "depth_bytes": self._depth_bytes,
                "max_bytes": self._settings.spool_max_bytes,
                "oldest_age_s": round(time.monotonic() - min(waiting), 3) if waiting else 0.0,
                "dropped": self._dropped,
                "shipped_parts": self._shipped_parts,
                "last_error": self._last_error,
                "has_failed": self._has_failed,
            }

    def _end_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._turns.discard(loop)
        self._queue.wake()

    def _submit(self, stream: str, line: Mapping[str, Any], waiter: Waiter[None] | None = None) -> str:
        now = self._clock()
        run_id = str(line.get("run_id") or new_id())
        encoded = make_line(stream, line, run_id=run_id, recorded_at=now)
        is_full = self._depth_bytes + len(encoded) > self._settings.spool_max_bytes
        if is_full or not self._is_running or self._has_failed:
            if waiter is not None:
                raise self._refusal(is_full=is_full)
            self._drop(1)
            return run_id
        self._count(len(encoded), 1)
        self._queue.put(Entry(stream, now.date().isoformat(), encoded, waiter))
        if self._has_writer_ended:
            self._refuse_late_lines()  # the writer ended since the check, so nobody else answers this line
        return run_id

    def _refusal(self, *, is_full: bool = False) -> Unavailable:
        if self._has_failed:
            why = "the event log has failed; its process must be restarted, its log says why"
            return Unavailable(why, retry_after_s=30)
        what = "the run-log spool is full" if is_full else "the event log is stopped"
        return Unavailable(f"{what}; lines are shipped when the store answers again", retry_after_s=5)

    def _drop(self, lines: int) -> None:
        with self._counts:
            self._dropped += lines

    def _note(self, error: str | None) -> None:
        with self._counts:
            self._last_error = error

    def _count(self, size: int, lines: int) -> None:
        with self._counts:
            self._depth_bytes += size
            self._depth_lines += lines

    def _run_writer(self) -> None:
        try:
            self._write_all()
        except BaseException:
            self._has_failed = True
            raise
        finally:
            self._has_writer_ended = True
            self._refuse_late_lines()
            self._hand_over(self._spool.close())

    def _write_all(self) -> None:
        is_ending = False
        while not is_ending:
            self._in_hand, is_ending = self._queue.next_group()
            for key, entries in _by_part(self._in_hand).items():
                self._write(key, entries)
                answered = set(map(id, entries))
                self._in_hand = [entry for entry in self._in_hand if id(entry) not in answered]
            self._rotate()

    def _rotate(self) -> None:
        limits = {"max_bytes": self._settings.spool_part_bytes, "max_age_s": self._settings.spool_part_age_s}
        try:
            closed = self._spool.rotate(**limits, day=f"{self._clock():%Y-%m-%d}")  # type: ignore[arg-type]
        except OSError as error:
            self._note(f"the disk refused to close a part of the run log: {error.strerror}")
        else:
            self._hand_over(closed)

    def _refuse_late_lines(self) -> None:
        """Refuse lines that came after the writer's end, and those that a failed writer has left without an answer."""
        in_hand, self._in_hand = self._in_hand, []
        refused: list[tuple[Waiter[None], Exception]] = []
        for entry in [entry for entry in in_hand if entry.waiter is not None] + self._queue.rest():
            self._count(-len(entry.line), -1)
            if entry.waiter is None:
                self._drop(1)
            else:
                refused.append((entry.waiter, self._refusal()))
        answer_all(refused)

    def _write(self, key: tuple[str, str], entries: list[Entry]) -> None:
        is_durable = any(entry.waiter is not None for entry in entries)
        error: Exception | None = None
        try:
            self._spool.write(*key, [entry.line for entry in entries], sync=is_durable)
            self._refused_by_disk = None
        except OSError as failure:
            self._refused_by_disk = f"the disk refused a run-log line: {failure.strerror}"
            error = InsufficientStorage(self._refused_by_disk)
            self._count(-sum(len(entry.line) for entry in entries), -len(entries))
            self._note(str(error))
            self._drop(sum(entry.waiter is None for entry in entries))
        answer_all((entry.waiter, error) for entry in entries if entry.waiter is not None)

    def _hand_over(self, parts: list[Part]) -> None:
        if parts:
            self._closed.extend(parts)
            self._wake_shipper.set()

    def _run_shipper(self) -> None:
        try:
            self._ship_all()
        except BaseException:
            self._has_failed = True
            raise

    def _ship_all(self) -> None:
        while True:
            while self._closed and self._ship(self._closed[0]):
                self._closed.popleft()
            if self._stopping.is_set():
                return
            self._wake_shipper.wait(_RETRY_S if self._closed else None)
            self._wake_shipper.clear()

    def _ship(self, part: Part) -> bool:
        """Ship one part; False when it, or all of them, must wait."""
        # The key is the part's own: shipped twice, after a crash in between, it is still one object.
        key = part_key(part.stream, part.day, part.part_id)
        try:
            self._objects.put(key, part.path, content_type="application/x-ndjson")
            part.path.unlink(missing_ok=True)
        except LakehouseError as error:
            self._note(error.detail)
            return False
        except OSError as error:
            if part.path.exists():
                self._note(f"a part of the run log cannot be shipped: {error.strerror or error}")
                self._closed.rotate(-1)  # to the end, so that the other parts do not wait for it
                return False
            self._drop(part.lines)  # the file was removed by somebody else
            self._count(-part.size, -part.lines)
        else:
            with self._counts:  # in one step: who sees that it was shipped sees its room, too
                self._shipped_parts += 1
                self._last_error = None
                self._depth_bytes -= part.size
                self._depth_lines -= part.lines
        return True


def _by_part(group: list[Entry]) -> dict[tuple[str, str], list[Entry]]:
    parts: dict[tuple[str, str], list[Entry]] = {}
    for entry in group:
        parts.setdefault((entry.stream, entry.day), []).append(entry)
    return parts
