"""The lease: at most one process folds a memory table, and one that was paused too long can do no harm.

The document is `{holder, fence, expires_at}`, replaced by compare-and-swap. `fence` rises with every new holding and
goes into whatever the holder publishes; who publishes with a lower one than is there already is refused. So clocks
decide only who may try, never what is true.

Belongs here: taking, renewing, giving back. Not here: what is done under it (see lakehouse/adapters/memory_folder.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from lakehouse.catalog.manifest import format_utc, parse_utc
from lakehouse.clock import new_id, utc_now
from lakehouse.errors import NotFound, PreconditionFailed
from lakehouse.storage.objects import ObjectStore

FORMAT_VERSION = 1
DURATION = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may fold, under which number, until when (by the holder's clock)."""

    holder: str
    fence: int
    expires_at: datetime

    def to_json(self) -> bytes:
        """The stored form."""
        document = {
            "holder": self.holder,
            "fence": self.fence,
            "expires_at": format_utc(self.expires_at),
            "format_version": FORMAT_VERSION,
        }
        return orjson.dumps(document)

    @classmethod
    def from_json(cls, body: bytes) -> Lease | None:
        """Read the stored form; None when it is damaged."""
        try:
            document = orjson.loads(body)
            return cls(str(document["holder"]), int(document["fence"]), parse_utc(document["expires_at"]))
        except (ValueError, KeyError, TypeError):
            return None


class LeaseHolder:
    """One process's side of a lease.

    Args:
        store: The bucket.
        key: Where the lease lies.
        holder: Name of this process, unique.
        published_fence: The highest number that anything was published under: where to go on when the lease is lost.
        clock: The time now, aware.
        duration: How long a holding lasts without being renewed.
    """

    def __init__(
        self,
        store: ObjectStore,
        key: str,
        *,
        holder: str | None = None,
        published_fence: Callable[[], int] = lambda: 0,
        clock: Callable[[], datetime] = utc_now,
        duration: timedelta = DURATION,
    ) -> None:
        self._store = store
        self._key = key
        self._holder = holder or new_id()
        self._published_fence = published_fence
        self._clock = clock
        self._duration = duration

    def acquire(self) -> Lease | None:
        """Take the lease, or renew it; None while another holds it.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        lease, etag = self._read()
        if lease is not None and lease.holder != self._holder and self._is_held(lease, self._clock()):
            return None
        return self._take(lease, etag)

    def keep(self) -> Lease | None:
        """Renew the lease, also after its end; None once anybody else has had it, even if it is free again.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        lease, etag = self._read()
        return None if lease is None or lease.holder != self._holder else self._take(lease, etag)

    def release(self) -> None:
        """Give the lease back early, if it is ours; its number stays."""
        lease, etag = self._read()
        if lease is not None and lease.holder == self._holder and etag is not None:
            self._swap(Lease(self._holder, lease.fence, self._clock()), etag)

    def _take(self, lease: Lease | None, etag: str | None) -> Lease | None:
        now = self._clock()
        is_renewal = lease is not None and lease.holder == self._holder and self._is_held(lease, now)
        fence = (lease.fence if lease is not None else self._published_fence()) + (0 if is_renewal else 1)
        return self._swap(Lease(self._holder, fence, now + self._duration), etag)

    def _is_held(self, lease: Lease, now: datetime) -> bool:
        # An end that lies further ahead than any holder may set it comes from a clock that was wrong.
        return now < lease.expires_at <= now + 2 * self._duration

    def _read(self) -> tuple[Lease | None, str | None]:
        try:
            stored = self._store.get(self._key)
        except NotFound:
            return None, None
        return Lease.from_json(stored.body), stored.info.etag

    def _swap(self, lease: Lease, etag: str | None) -> Lease | None:
        body = lease.to_json()
        try:
            self._store.put(self._key, body, if_match=etag, if_absent=etag is None, content_type="application/json")
        except (PreconditionFailed, NotFound):
            # After a lost answer the retry fails although the first try won.
            won, _ = self._read()
            return lease if won == lease else None
        return lease
