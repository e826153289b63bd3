"""The `ObjectStore` Protocol: what the platform needs of S3.

Belongs here: the Protocol and the values that cross it. Not here: any vendor (see lakehouse/adapters/objects.py,
tests/fakes/objects.py; both pass tests/contract/test_object_store.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a listing or a HEAD says of one object. `etag` is opaque and unquoted; `modified_at` is UTC."""

    key: str
    size: int
    etag: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A whole (small) object."""

    info: ObjectInfo
    body: bytes


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a listing, in key order. `next` is the `start_after` of the page that follows, or None."""

    objects: tuple[ObjectInfo, ...]
    next: str | None

    @property
    def is_truncated(self) -> bool:
        return self.next is not None


class ObjectReader(Protocol):
    """An open object whose bytes are read in chunks; closed by its context."""

    info: ObjectInfo

    def chunks(self, size_bytes: int = 1 << 20) -> Iterator[bytes]: ...


class ObjectStore(Protocol):
    """A bucket of immutable-by-convention objects with conditional writes.

    Every call has a deadline. Errors: `NotFound` for a missing key (except `head`), `PreconditionFailed` when a
    condition does not hold, `StoreUnavailable` when the store fails or does not answer.
    """

    def get(self, key: str) -> StoredObject: ...

    def open(
        self, key: str, *, span: tuple[int, int] | None = None, if_match: str | None = None
    ) -> AbstractContextManager[ObjectReader]:
        """Open an object, or its bytes from the first to the last of `span`, both included; `if_match` is an ETag."""
        ...

    def head(self, key: str) -> ObjectInfo | None: ...

    def put(
        self,
        key: str,
        body: bytes | Path,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = "application/octet-stream",
    ) -> ObjectInfo:
        """Write an object whole: bytes, or a file streamed from disk; conditions as `If-Match`, `If-None-Match: *`."""
        ...

    def delete(self, key: str) -> None:
        """Remove a key; a key that is not there is no error."""
        ...

    def list(self, prefix: str, *, limit: int = 1000, start_after: str = "") -> Listing:
        """One page of at most `limit` keys under `prefix` after `start_after`.

        They come in the store's order, by which `start_after` counts: that of the keys' bytes on S3, folder by folder
        on SeaweedFS. The keys of a folder follow each other in both.
        """
        ...

    def folders(self, prefix: str, *, after: str = "") -> Sequence[str]:
        """Names of the folders directly under `prefix` (which ends with `/`), those that sort after `after`, sorted.

        A folder whose last object was deleted may still be named: SeaweedFS keeps it for a while.
        """
        ...

    def copy(self, source: str, target: str) -> ObjectInfo:
        """Copy on the server; a key copied onto itself gets a new `modified_at` (and so a new life before gc)."""
        ...


def list_all(store: ObjectStore, prefix: str, *, page_size: int = 1000) -> Iterator[ObjectInfo]:
    """Yield every object under a prefix in the store's order, a page at a time."""
    start_after = ""
    while True:
        page = store.list(prefix, limit=page_size, start_after=start_after)
        yield from page.objects
        if page.next is None:
            return
        start_after = page.next
