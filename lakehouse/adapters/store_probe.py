"""Whether a store keeps the conditions that every swap of a manifest rests on, tried on a key of its own.

Belongs here: the trial. Not here: what is made of it (see lakehouse_cli/doctor_services.py, audit_full_setup.py).
"""

from __future__ import annotations

import contextlib

from lakehouse.clock import new_id
from lakehouse.errors import PreconditionFailed
from lakehouse.storage.objects import ObjectStore

PROBE_KEY = "files/.doctor/{}"


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
