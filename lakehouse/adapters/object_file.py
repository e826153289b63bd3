"""An object of the store as a file that can be sought: Parquet readers fetch the columns they want and no more.

Belongs here: reads by range. Not here: what is read (see roster.py).
"""

from __future__ import annotations

import io
import os

from lakehouse.storage.objects import ObjectStore


class ObjectFile(io.RawIOBase):
    """Reads an immutable object a range at a time; every read is one request.

    Args:
        objects: The bucket.
        key: The object.
        size: Its bytes.

    Raises of every read:
        NotFound, StoreUnavailable: As the store says.
    """

    def __init__(self, objects: ObjectStore, key: str, size: int) -> None:
        self._objects = objects
        self._key = key
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def size(self) -> int:
        """The object's bytes."""
        return self._size

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._size, self._at + size)
        if end <= self._at:
            return b""
        with self._objects.open(self._key, span=(self._at, end - 1)) as reader:
            data = b"".join(reader.chunks())
        self._at += len(data)
        return data
