"""An `ObjectStore` in memory; passes tests/contract/test_object_store.py like the real one."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from lakehouse.clock import utc_now
from lakehouse.errors import NotFound, PreconditionFailed, StoreUnavailable
from lakehouse.storage.objects import Listing, ObjectInfo, StoredObject


@dataclass
class MemoryReader:
    info: ObjectInfo
    body: bytes

    def chunks(self, size_bytes: int = 1 << 20) -> Iterator[bytes]:
        for start in range(0, len(self.body), size_bytes):
            yield self.body[start : start + size_bytes]


class MemoryObjects:
    """A bucket in memory. `is_down` makes every call fail as a store does that does not answer."""

    def __init__(self, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._objects: dict[str, StoredObject] = {}
        self.is_down = False

    def get(self, key: str) -> StoredObject:
        self._answer(key)
        with self._lock:
            if key not in self._objects:
                raise NotFound(f"no object {key!r}", key=key)
            return self._objects[key]

    @contextmanager
    def open(
        self, key: str, *, span: tuple[int, int] | None = None, if_match: str | None = None
    ) -> Iterator[MemoryReader]:
        stored = self.get(key)
        if if_match is not None and if_match != stored.info.etag:
            raise PreconditionFailed(f"{key!r} was changed by somebody else", key=key)
        body = stored.body if span is None else stored.body[span[0] : span[1] + 1]
        yield MemoryReader(replace(stored.info, size=len(body)), body)

    def head(self, key: str) -> ObjectInfo | None:
        self._answer(key)
        with self._lock:
            return self._objects[key].info if key in self._objects else None

    def put(
        self,
        key: str,
        body: bytes | Path,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = "application/octet-stream",
    ) -> ObjectInfo:
        self._answer(key)
        data = body if isinstance(body, bytes) else body.read_bytes()
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        with self._lock:
            there = self._objects.get(key)
            if (if_absent and there) or (if_match is not None and (there is None or there.info.etag != if_match)):
                raise PreconditionFailed(f"{key!r} was changed by somebody else", key=key)
            info = ObjectInfo(key, len(data), etag, self._clock())
            self._objects[key] = StoredObject(info, data)
        return info

    def delete(self, key: str) -> None:
        self._answer(key)
        with self._lock:
            self._objects.pop(key, None)

    def list(self, prefix: str, *, limit: int = 1000, start_after: str = "") -> Listing:
        self._answer(prefix)
        with self._lock:
            keys = sorted(key for key in self._objects if key.startswith(prefix) and key > start_after)
            found = tuple(self._objects[key].info for key in keys[:limit])
        return Listing(found, found[-1].key if len(keys) > limit else None)

    def folders(self, prefix: str, *, after: str = "") -> Sequence[str]:
        self._answer(prefix)
        with self._lock:
            rests = [key[len(prefix) :] for key in self._objects if key.startswith(prefix)]
        return sorted({rest.split("/")[0] for rest in rests if "/" in rest and rest.split("/")[0] > after})

    def copy(self, source: str, target: str) -> ObjectInfo:
        return self.put(target, self.get(source).body)

    def _answer(self, key: str) -> None:
        if self.is_down:
            raise StoreUnavailable(f"the object store did not answer for {key!r}", key=key, retry_after_s=5)
