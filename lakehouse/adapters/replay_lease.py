"""The lease of a batch: one process at a time works on it and renews the lease; after its death another goes on.

Belongs here: taking the lease of a batch, keeping it, losing it. Not here: the lease itself (see
lakehouse/memory/lease.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

import structlog

from lakehouse.catalog.manifest import format_utc
from lakehouse.clock import utc_now
from lakehouse.errors import Conflict, NotFound, StoreUnavailable
from lakehouse.memory.lease import Lease, LeaseHolder
from lakehouse.replay.batch import key_of
from lakehouse.storage.objects import ObjectStore

_LOOK_S = 0.2
_log = structlog.get_logger("lakehouse.replay")


class HeldBatch:
    """A batch that this process works on.

    Args:
        holder: Has its lease.
        batch_id: The batch.
        until_s: When the lease ends unless it is renewed, by `monotonic_s`.
        lease_s: How long each renewal lasts.
        monotonic_s: Seconds that only rise.
    """

    def __init__(
        self, holder: LeaseHolder, batch_id: str, *, until_s: float, lease_s: float, monotonic_s: Callable[[], float]
    ) -> None:
        self._holder = holder
        self._batch_id = batch_id
        self._until_s = until_s
        self._lease_s = lease_s
        self._monotonic_s = monotonic_s
        self._renewing = asyncio.Lock()

    async def renew(self) -> None:
        """Make the lease last anew.

        Raises:
            Conflict: Another process has had it.
            StoreUnavailable: The store does not answer.
        """
        async with self._renewing:
            asked_s = self._monotonic_s()
            if await asyncio.to_thread(self._holder.keep) is None:
                self._until_s = 0.0
                raise Conflict(
                    f"another process has taken batch {self._batch_id!r} over since this one's lease ran out; what was"
                    f" written stays, go on with: lakehouse replay resume {self._batch_id}"
                )
            self._until_s = asked_s + self._lease_s

    async def require(self) -> None:
        """Refuse to write once the batch may be another's.

        A process that was held up for longer than its lease lasts (a busy or a suspended machine) goes on where nobody
        has been at the batch meanwhile.

        Raises:
            Conflict: It may.
        """
        if self._monotonic_s() < self._until_s:
            return
        try:
            await self.renew()
        except StoreUnavailable as error:
            raise Conflict(
                f"the lease of batch {self._batch_id!r} ran out while the store did not answer; what was written stays,"
                f" go on with: lakehouse replay resume {self._batch_id}"
            ) from error


@asynccontextmanager
async def held(
    objects: ObjectStore,
    batch_id: str,
    *,
    lease_s: float,
    clock: Callable[[], datetime] = utc_now,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> AsyncIterator[HeldBatch]:
    """Hold the lease of a batch.

    When another process has it, this waits until the lease ends: a process that was killed does not renew it, and one
    that lives does, and keeps the batch.

    Args:
        objects: The bucket.
        batch_id: The batch.
        lease_s: How long a lease lasts without being renewed.
        clock: The time now, aware.
        monotonic_s: Seconds that only rise.

    Raises:
        Conflict: Another process is at it.
        StoreUnavailable: The store does not answer.
    """
    key = key_of(batch_id, "lease.json")
    holder = LeaseHolder(objects, key, duration=timedelta(seconds=lease_s), clock=clock)
    asked_s = await _taken(objects, holder, batch_id, monotonic_s)
    batch = HeldBatch(holder, batch_id, until_s=asked_s + lease_s, lease_s=lease_s, monotonic_s=monotonic_s)
    renewing = asyncio.create_task(_renew(batch, batch_id, lease_s / 3))
    try:
        yield batch
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing
        with suppress(StoreUnavailable):
            await asyncio.to_thread(holder.release)


async def _renew(batch: HeldBatch, batch_id: str, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            await batch.renew()
        except StoreUnavailable as error:
            _log.warning("replay_lease_not_renewed", batch=batch_id, reason=error.detail)
        except Conflict as error:
            # The next write raises the reason.
            _log.warning("replay_lease_lost", batch=batch_id, reason=error.detail)
            return


async def _taken(objects: ObjectStore, holder: LeaseHolder, batch_id: str, monotonic_s: Callable[[], float]) -> float:
    """Take the lease; returns the time at which it was asked for."""
    seen: Lease | None = None
    while True:
        asked_s = monotonic_s()
        if await asyncio.to_thread(holder.acquire) is not None:
            return asked_s
        lease = await asyncio.to_thread(_read, objects, batch_id)
        if lease is None:
            continue
        if seen is not None and (lease.holder, lease.fence) == (seen.holder, seen.fence) and lease != seen:
            raise _busy(batch_id, lease)  # it was renewed, so its holder lives
        if seen is not None and lease.holder != seen.holder:
            raise _busy(batch_id, lease)  # another process took it first
        seen = lease
        await asyncio.sleep(_LOOK_S)


def _busy(batch_id: str, lease: Lease) -> Conflict:
    return Conflict(
        f"another process is at batch {batch_id!r} (its lease lasts until {format_utc(lease.expires_at)}, and it renews"
        " it); wait for it, or end it",
        batch_id=batch_id,
        seen_at=format_utc(utc_now()),
    )


def _read(objects: ObjectStore, batch_id: str) -> Lease | None:
    try:
        return Lease.from_json(objects.get(key_of(batch_id, "lease.json")).body)
    except NotFound:
        return None
