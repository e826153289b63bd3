"""The queue of run-log lines: lines that a caller waits for wake the writer, the others wait for its next look.

Waking a thread costs a request more than making its line, so lines of reads are gathered for a moment, and lines that
callers wait for wake the writer once for all that came in one turn of an event loop. Groups keep a distance when that
makes them larger (see group_pace.py).

Belongs here: the two ways, groups. Not here: what is written (see event_log.py).
"""

from __future__ import annotations

import queue
from collections import deque
from contextlib import suppress

import msgspec

from lakehouse.adapters.group_answers import Waiter
from lakehouse.adapters.group_pace import GroupPace

_MAX_GROUP = 4096
_GATHER_S = 0.2
# Making a group durable costs a tenth of a millisecond of processor time, whether one caller waits or thirty.
_APART_S = 0.008


class Entry(msgspec.Struct, frozen=True):
    """One encoded line; `waiter` is told when it is on disk, and None when nobody waits."""

    stream: str
    day: str
    line: bytes
    waiter: Waiter[None] | None


class EventQueue:
    """Entries of any number of threads for one writer."""

    def __init__(self) -> None:
        self._pace = GroupPace(_APART_S)
        self._wakes: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._awaited: deque[Entry] = deque()
        self._others: deque[Entry] = deque()
        self._is_ending = False

    def put(self, entry: Entry) -> None:
        """Add one; whoever waits for it calls `wake` before it does."""
        (self._others if entry.waiter is None else self._awaited).append(entry)

    def wake(self) -> None:
        """Wake the writer."""
        self._wakes.put(False)

    def end(self) -> None:
        """No more will come: the writer's next groups are its last."""
        self._wakes.put(True)

    def next_group(self) -> tuple[list[Entry], bool]:
        """What has gathered, after a moment of silence at most; True when this is the end."""
        if not self._is_ending and len(self._awaited) < _MAX_GROUP:
            self._pace.keep()
            with suppress(queue.Empty):
                self._is_ending = self._wakes.get(timeout=_GATHER_S)
                while not self._is_ending:  # one wake-up serves all callers
                    self._is_ending = self._wakes.get_nowait()
        awaited = _taken(self._awaited)
        self._pace.begin(len(awaited))
        group = _taken(self._others) + awaited
        return group, self._is_ending and not self._awaited and not self._others

    def rest(self) -> list[Entry]:
        """Everything that is left."""
        return _taken(self._others) + _taken(self._awaited)


def _taken(entries: deque[Entry]) -> list[Entry]:
    found: list[Entry] = []
    with suppress(IndexError):
        while len(found) < _MAX_GROUP:
            found.append(entries.popleft())
    return found
