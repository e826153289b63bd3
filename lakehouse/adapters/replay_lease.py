"""Who is at a batch: one process at a time, which says so again and again; after its death another goes on.

Belongs here: taking the lease of a batch, keeping it, losing it. Not here: the lease itself (see
lakehouse/memory/lease.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

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
    """A batch that this process is at."""

    def __init__(self, batch_id: str, until: float) -> None:
        self._batch_id = batch_id
        self.until = until

    def require(self) -> None:
        """Refuse to write once the lease may be another's.

        Raises:
            Conflict: It may.
        """
        if asyncio.get_running_loop().time() >= self.until:
            raise Conflict(
                f"the lease of batch {self._batch_id!r} ran out while the store did not answer; what was written stays,"
                f" go on with: lakehouse replay resume {self._batch_id}"
            )


@asynccontextmanager
async def held(objects: ObjectStore, batch_id: str, *, lease_s: float) -> AsyncIterator[HeldBatch]:
    """Be the one that is at a batch.

    Where another was and was killed, its lease is waited for; where it lives, it renews its lease, and wins.

    Args:
        objects: The bucket.
        batch_id: The batch.
        lease_s: How long a lease lasts without being renewed.

    Raises:
        Conflict: Another process is at it.
        StoreUnavailable: The store does not answer.
    """
    holder = LeaseHolder(objects, key_of(batch_id, "lease.json"), duration=timedelta(seconds=lease_s))
    loop = asyncio.get_running_loop()
    batch = HeldBatch(batch_id, await _taken(objects, holder, batch_id) + lease_s)

    async def renew() -> None:
        while True:
            await asyncio.sleep(lease_s / 3)
            asked_s = loop.time()
            try:
                lease = await asyncio.to_thread(holder.acquire)
            except StoreUnavailable as error:
                _log.warning("replay_lease_not_renewed", batch=batch_id, reason=error.detail)
                continue
            if lease is None:
                batch.until = 0.0
                return
            batch.until = asked_s + lease_s

    renewing = asyncio.create_task(renew())
    try:
        yield batch
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing
        with suppress(StoreUnavailable):
            await asyncio.to_thread(holder.release)


async def _taken(objects: ObjectStore, holder: LeaseHolder, batch_id: str) -> float:
    """Take the lease; by the loop's clock, when it was asked for."""
    loop = asyncio.get_running_loop()
    seen: Lease | None = None
    while True:
        asked_s = loop.time()
        if await asyncio.to_thread(holder.acquire) is not None:
            return asked_s
        lease = await asyncio.to_thread(_read, objects, batch_id)
        if lease is None:
            continue
        if seen is not None and (lease.holder, lease.fence) == (seen.holder, seen.fence) and lease != seen:
            raise _busy(batch_id, lease)  # it was renewed: whoever has it lives
        if seen is not None and lease.holder != seen.holder:
            raise _busy(batch_id, lease)  # another one was quicker
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
