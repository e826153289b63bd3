"""Publishing a local file under the key of its content: there once, whoever writes it, and young while it is used.

Belongs here: the hash of a file, the PUT. Not here: which manifest names the object afterwards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from lakehouse.clock import utc_now
from lakehouse.errors import NotFound, PreconditionFailed
from lakehouse.storage.objects import ObjectStore

PARQUET_TYPE = "application/vnd.apache.parquet"
# Garbage collection takes what is unreferenced and a day old: an object that old is made young before it is used.
RENEW_AFTER = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Published:
    """An object in the bucket."""

    key: str
    size: int
    sha256: str


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hex; read in chunks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def publish(
    store: ObjectStore,
    path: Path,
    key_of: Callable[[str], str],
    *,
    content_type: str = PARQUET_TYPE,
    clock: Callable[[], datetime] = utc_now,
) -> Published:
    """Put a file under a key made of its SHA-256; one that is there is left as it is.

    Args:
        store: The bucket.
        path: The file.
        key_of: Makes the key from the content's SHA-256, hex.
        content_type: Of the object.
        clock: The time now.

    Raises:
        StoreUnavailable: The store does not answer; perhaps an object lies there that nothing names.
    """
    sha256 = hash_file(path)
    key = key_of(sha256)
    put_once(store, key, path, content_type=content_type, clock=clock)
    return Published(key, path.stat().st_size, sha256)


def put_once(
    store: ObjectStore,
    key: str,
    path: Path,
    *,
    content_type: str = PARQUET_TYPE,
    clock: Callable[[], datetime] = utc_now,
    is_large: bool = False,
) -> None:
    """Put a file under a key that names its content; one that is there is left as it is, and is young then.

    Args:
        store: The bucket.
        key: Other bytes have another one.
        path: The file.
        content_type: Of the object.
        clock: The time now.
        is_large: Ask first whether it is there: that takes a call more, and saves sending the file again.

    Raises:
        StoreUnavailable: The store does not answer; perhaps an object lies there that nothing names.
    """
    while True:
        if is_large and _is_young(store, key, clock()):
            return
        try:
            store.put(key, path, if_absent=True, content_type=content_type)
        except PreconditionFailed:
            if not _is_young(store, key, clock()):
                continue  # garbage collection took it meanwhile
        return


def _is_young(store: ObjectStore, key: str, now: datetime) -> bool:
    """Make an object young where it is not; False: it is not there."""
    known = store.head(key)
    if known is None:
        return False
    if now - known.modified_at > RENEW_AFTER:
        try:
            store.copy(key, key)
        except NotFound:
            return False
    return True
