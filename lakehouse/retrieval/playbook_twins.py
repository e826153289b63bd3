"""Near twins among playbook entries: entries of the same answer with nearly the same query become one.

Records with the same words and answer share an entry from the start. Entries whose queries only mean the same are
merged here, by the process that folds, among those recorded since the last fold. A merge is a log entry like any other.

Belongs here: which entries are looked at, and how many at a time. Not here: what a twin is (see `plan_merges` in
playbook.py), who folds (see lakehouse/adapters/memory_folder.py).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import islice
from typing import Any, Protocol

from lakehouse.memory.entry import Entry
from lakehouse.retrieval.playbook import MERGE, RECORD, PlaybookBook

ACTOR = "lakehouse"
_MOST_WAITING = 100_000  # further ones are not merged, which costs only a place in the index


class Append(Protocol):
    """Appends to the log; returns when the entry is durable and in the book."""

    def __call__(self, op: str, payload: dict[str, Any], *, actor: str) -> Entry: ...


class PlaybookTwins:
    """Merges new entries into older ones; thread-safe, and harmless when two processes do it at once.

    Args:
        book: The entries.
        at_once: Most entries that one call looks at; the others wait for the next.
    """

    def __init__(self, book: PlaybookBook, *, at_once: int = 500) -> None:
        self._book = book
        self._at_once = at_once
        self._waiting: dict[str, None] = {}
        self._merging = threading.Lock()

    def __call__(self, entries: Sequence[Entry], append: Append) -> None:
        """Look at what these entries have recorded, and at what waits since earlier calls.

        Raises:
            Unavailable: The log takes no writes now; what was not looked at waits on.
        """
        with self._merging:
            for entry in entries:
                if entry.op == RECORD and len(self._waiting) < _MOST_WAITING:
                    self._waiting[str(entry.payload["playbook_id"])] = None
            for playbook_id in list(islice(self._waiting, self._at_once)):
                for twin, into in self._book.plan_merges([playbook_id]):
                    append(MERGE, {"playbook_id": twin, "into": into}, actor=ACTOR)
                del self._waiting[playbook_id]
