"""Whether a store takes our keys and keeps the conditions that every swap of a manifest rests on, by trial.

Belongs here: the trial. Not here: what is made of it (see lakehouse_cli/doctor_services.py, audit_full_setup.py).
"""

from __future__ import annotations

import contextlib

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.clock import new_id
from lakehouse.errors import PreconditionFailed, StoreUnavailable
from lakehouse.storage.objects import ObjectStore

# With a sign that is encoded on the way, as days of partitions have it (`dt=`): not everything before a store keeps it.
PROBE_KEY = "files/.doctor/dt={}"


def require_store(store: S3ObjectStore) -> None:
    """Make the bucket where it is missing, and refuse a store that nothing could be kept in.

    Raises:
        StoreUnavailable: It does not answer, refuses us, or ignores conditions.
    """
    store.ensure_bucket()
    ignored = ignored_conditions(store)
    if ignored:
        raise StoreUnavailable(
            f"the object store ignores {' and '.join(ignored)}: two writers would lose updates; use a store with"
            " conditional writes (AWS, MinIO, Ceph, SeaweedFS)"
        )


def ignored_conditions(store: ObjectStore) -> list[str]:
    """The conditions that a store takes and ignores, by their header; none where it is sound. Nothing is left behind.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    key = PROBE_KEY.format(new_id())
    ignored = []
    try:
        first = store.put(key, b"1", if_absent=True)
        with contextlib.suppress(PreconditionFailed):
            store.put(key, b"2", if_absent=True)
            ignored.append("If-None-Match: *")
        store.put(key, b"3", if_match=first.etag)
        with contextlib.suppress(PreconditionFailed):
            store.put(key, b"4", if_match=first.etag)
            ignored.append("If-Match")
    finally:
        store.delete(key)
    return ignored
