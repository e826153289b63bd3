"""Run-log lines on their way to the writer: those that somebody waits for wake it, the others wait for its next look.

Waking a thread costs a request more than making its line does, so lines of reads are gathered for a moment.

Belongs here: the two ways, groups. Not here: what is written (see event_log.py).
"""

from __future__ import annotations

import queue
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass

_MAX_GROUP = 4096
_GATHER_S = 0.2


@dataclass(frozen=True, slots=True)
class Entry:
    """One encoded line; `done` is answered when it is on disk, and None when nobody waits."""

    stream: str
    day: str
    line: bytes
    done: Future[None] | None


class EventQueue:
    """Entries of any number of threads for one writer."""

    def __init__(self) -> None:
        self._awaited: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._others: deque[Entry] = deque()

    def put(self, entry: Entry) -> None:
        """Add one."""
        if entry.done is None:
            self._others.append(entry)
        else:
            self._awaited.put(entry)

    def end(self) -> None:
        """No more will come: the writer's next groups are its last."""
        self._awaited.put(None)

    def next_group(self) -> tuple[list[Entry], bool]:
        """What has gathered, after a moment of silence at most; True when this is the end."""
        group: list[Entry] = []
        is_ending = False
        with suppress(queue.Empty):
            entry = self._awaited.get(timeout=_GATHER_S)
            while entry is not None and len(group) < _MAX_GROUP - 1:
                group.append(entry)
                entry = self._awaited.get_nowait()
            is_ending = entry is None
            group += [entry] if entry is not None else []
        return self._gathered() + group, is_ending

    def rest(self) -> list[Entry]:
        """Everything that is left."""
        left = self._gathered()
        with suppress(queue.Empty):
            while True:
                entry = self._awaited.get_nowait()
                left += [entry] if entry is not None else []
        return left

    def _gathered(self) -> list[Entry]:
        found: list[Entry] = []
        with suppress(IndexError):
            while True:
                found.append(self._others.popleft())
        return found
