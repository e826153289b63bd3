"""The shipper: a thread that puts sealed parts into the bucket, again and again until they are there.

Belongs here: order, retries and the state of shipping. Not here: the spool's files (see event_spool.py).
"""

from __future__ import annotations

import threading
import time

import structlog

from lakehouse.adapters.event_spool import Spool, SpoolPart
from lakehouse.errors import LakehouseError
from lakehouse.storage.objects import ObjectStore

ADOPT_EVERY_S = 60.0
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 30.0
_log = structlog.get_logger("lakehouse.event_log")


class Shipper:
    """Ships one part at a time, oldest first; a part's key is its own, so a second PUT writes the same object."""

    def __init__(self, spool: Spool, objects: ObjectStore) -> None:
        self._spool = spool
        self._objects = objects
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event-shipper", daemon=True)
        self.shipped_parts = 0
        self.last_error: str | None = None

    def start(self) -> None:
        """Begin; what dead writers have left is looked for first."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to ship."""
        self._wake.set()

    def stop(self, deadline_s: float) -> bool:
        """Try each part that is left once more; True when that was done within `deadline_s`."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(deadline_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        retry_s = FIRST_RETRY_S
        adopted_s: float | None = None
        while True:
            if adopted_s is None or time.monotonic() - adopted_s >= ADOPT_EVERY_S:
                self._adopt()
                adopted_s = time.monotonic()
            part = self._spool.next_sealed()
            if part is None:
                if self._stopping.is_set():
                    return
                self._wake.wait(ADOPT_EVERY_S)
                self._wake.clear()
            elif self._ship(part):
                retry_s = FIRST_RETRY_S
            elif self._stopping.is_set():
                return
            else:
                self._stopping.wait(retry_s)
                retry_s = min(retry_s * 2, LAST_RETRY_S)

    def _adopt(self) -> None:
        try:
            self._spool.adopt()
        except OSError as error:
            self._fail(f"what other writers left cannot be read: {error.strerror}")

    def _ship(self, part: SpoolPart) -> bool:
        try:
            size_bytes = part.path.stat().st_size
            # Longer than its whole lines only when a failed write could not be cut off.
            body = part.path if size_bytes == part.size_bytes else part.path.read_bytes()[: part.size_bytes]
            self._objects.put(part.name.key, body, content_type="application/x-ndjson")
            self._spool.remove(part)
        except LakehouseError as error:
            self._fail(error.detail)
            return False
        except OSError as error:
            self._fail(f"a part of the spool cannot be read: {error.strerror}")
            return False
        self.shipped_parts += 1
        self.last_error = None
        return True

    def _fail(self, reason: str) -> None:
        if self.last_error is None:
            _log.warning("run logs wait on disk", reason=reason)
        self.last_error = reason
