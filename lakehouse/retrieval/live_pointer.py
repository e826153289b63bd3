"""Moving the pointer of a Lance table by compare-and-swap: what a swap did not reach, no reader sees.

Belongs here: reading, making and swapping `live.json`. Not here: what stands in it (see live_table.py), the files.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from lakehouse.clock import new_id, utc_now
from lakehouse.errors import Conflict, NotFound, PreconditionFailed, Unavailable
from lakehouse.jitter import jitter_s
from lakehouse.retrieval.live_table import BrokenPointer, LiveTable, check_table_name, live_key
from lakehouse.storage.objects import ObjectStore

JSON = "application/json"


class LivePointer:
    """One table's pointer; stateless, so any number of processes may have one.

    Args:
        store: The bucket.
        name: The table.
        clock: Gives the time now, aware, in UTC.
        deadline_s: How long a writer goes on trying against others.
    """

    def __init__(
        self, store: ObjectStore, name: str, *, clock: Callable[[], datetime] = utc_now, deadline_s: float = 30.0
    ) -> None:
        self.name = check_table_name(name)
        self._store = store
        self._key = live_key(name)
        self._clock = clock
        self._deadline_s = deadline_s

    def read(self) -> LiveTable | None:
        """What serves now; None when there is no such table.

        Raises:
            BrokenPointer: It cannot be read.
            StoreUnavailable: The store does not answer.
        """
        return self._read()[0]

    def create(self, live: LiveTable, *, is_mending: bool = False) -> LiveTable:
        """Make the pointer of a new table.

        Args:
            live: What is to serve.
            is_mending: Put it in the place of one that cannot be read.

        Raises:
            Conflict: The table is there.
        """
        made = self._stamped(live, None)
        damaged = self._damaged() if is_mending else None
        try:
            self._store.put(self._key, made.to_json(), if_match=damaged, if_absent=damaged is None, content_type=JSON)
        except (PreconditionFailed, NotFound):
            found = self.read()  # a retried PUT whose first answer was lost finds its own object
            if found is None or found.commit_id != made.commit_id:
                raise Conflict(f"the table {self.name!r} is there already", name=self.name) from None
        return made

    def swap(self, update: Callable[[LiveTable], LiveTable | None]) -> LiveTable:
        """Move the pointer.

        Args:
            update: Called with what serves, returns what is to serve, or None to leave it. Called again after a lost
                race; may raise, and then nothing has changed.

        Raises:
            NotFound: The table was dropped.
            Unavailable: Other writers kept winning until the deadline.
        """
        commit_id = ""
        give_up = time.monotonic() + self._deadline_s
        while time.monotonic() < give_up:
            live, etag = self._read()
            if live is None:
                raise NotFound(f"no table {self.name!r}; it was dropped", name=self.name)
            if commit_id and live.commit_id == commit_id:
                return live  # the answer to our own PUT was lost
            wanted = update(live)
            if wanted is None:
                return live
            made = self._stamped(wanted, live)
            commit_id = made.commit_id
            try:
                self._store.put(self._key, made.to_json(), if_match=etag, content_type=JSON)
            except (PreconditionFailed, NotFound):
                time.sleep(jitter_s(0.001, 0.02))  # jitter between racing writers
                continue
            return made
        raise Unavailable(f"other writers of table {self.name!r} kept winning; try again", retry_after_s=5)

    def remove(self) -> None:
        """Take the table away; its files stay until garbage collection."""
        self._store.delete(self._key)

    def _read(self) -> tuple[LiveTable | None, str | None]:
        try:
            stored = self._store.get(self._key)
        except NotFound:
            return None, None
        return LiveTable.from_json(stored.body, key=self._key), stored.info.etag

    def _damaged(self) -> str | None:
        """The tag of a pointer that is there and cannot be read."""
        try:
            stored = self._store.get(self._key)
        except NotFound:
            return None
        try:
            LiveTable.from_json(stored.body, key=self._key)
        except BrokenPointer:
            return stored.info.etag
        return None

    def _stamped(self, live: LiveTable, before: LiveTable | None) -> LiveTable:
        now = self._clock()
        if before is not None and before.updated_at is not None:
            now = max(now, before.updated_at + timedelta(microseconds=1))  # monotone when clocks of writers differ
        return replace(live, commit_id=new_id(), updated_at=now)


def checked_fence(live: LiveTable, fence: int | None) -> int:
    """The fence that holds after a writer with `fence` (None: one that needs none).

    Raises:
        Conflict: A later writer has taken over.
    """
    if fence is not None and fence < live.fence:
        raise Conflict(
            f"another writer has taken over since (its number is {live.fence}, this one's {fence}); nothing of this"
            " one is shown",
            fence=live.fence,
        )
    return live.fence if fence is None else fence
