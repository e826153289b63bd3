"""One line of a raw object with the hash of its bytes, by a ranged read from the nearest line whose place is known.

Of the objects read last, the place of every so many lines is remembered. An object is read from its beginning to the
line once; after that a line of it costs one small read.

Belongs here: places of lines, the read. Not here: what the hash is held against (see lakehouse/lineage/answer.py).
"""

from __future__ import annotations

import hashlib
import threading
import time
from array import array
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from lakehouse.errors import NotFound, PreconditionFailed, StoreUnavailable, TimedOut
from lakehouse.lineage.answer import FoundLine

if TYPE_CHECKING:
    import numpy.typing as npt

    from lakehouse.storage.objects import ObjectReader, ObjectStore

STEP = 128
"""Of so many lines one has its place remembered."""
HEAD_BYTES = 256
_OBJECTS = 512
_TRIES = 3
_LF = 10


@dataclass(slots=True)
class _Places:
    """Where lines 1, 1 + STEP, 1 + 2 STEP, … of an object begin, as far as it was read."""

    etag: str
    size: int
    begins: array[int] = field(default_factory=lambda: array("q", [0]))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def remember(self, current: int, offset: int, ends: npt.NDArray[np.intp]) -> None:
        """Keep the begins of lines that are next in turn; two readers of one object keep the same ones."""
        with self.lock:
            while True:
                after = len(self.begins) * STEP - current  # the end of the line before the next one to be kept
                if not 0 <= after < len(ends):
                    return
                self.begins.append(offset + int(ends[after]) + 1)


class RawLines:
    """Lines of the raw objects of one bucket; any number of threads may ask.

    Args:
        store: The bucket.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._known: OrderedDict[str, _Places] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: str, number: int, *, until_s: float) -> FoundLine | None:
        """The line of a number, from 1; None where the object or the line is not there.

        Args:
            key: The raw object.
            number: The line's.
            until_s: When to give up, of the clock `time.monotonic`.

        Raises:
            TimedOut: It was not found by then.
            StoreUnavailable: The store does not answer, or the object is being written again and again.
        """
        for _ in range(_TRIES):
            places = self._places(key)
            if places is None:
                return None
            try:
                return self._find(key, places, number, until_s)
            except NotFound:
                self._forget(key)
                return None
            except PreconditionFailed:
                self._forget(key)
        raise StoreUnavailable(f"{key!r} is being replaced while it is read; ask again", key=key, retry_after_s=5)

    def _find(self, key: str, places: _Places, number: int, until_s: float) -> FoundLine | None:
        place = min((number - 1) // STEP, len(places.begins) - 1)
        is_last = place == len(places.begins) - 1
        first = places.begins[place]
        end = places.size if is_last else places.begins[place + 1]
        if first >= end:
            return None
        with self._store.open(key, span=(first, end - 1), if_match=places.etag) as reader:
            # Reading past the last known place tells the places of further lines.
            begin = _Begin(place * STEP + 1, first)
            return _scan(reader, begin, number, places=places if is_last else None, until_s=until_s)

    def _places(self, key: str) -> _Places | None:
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
        info = self._store.head(key)
        if info is None:
            return None
        with self._lock:
            made = self._known.setdefault(key, _Places(info.etag, info.size))
            while len(self._known) > _OBJECTS:
                self._known.popitem(last=False)
            return made

    def _forget(self, key: str) -> None:
        with self._lock:
            self._known.pop(key, None)


@dataclass(frozen=True, slots=True)
class _Begin:
    """Where a read begins: the line, and its place in the object."""

    line: int
    offset: int


def _scan(
    reader: ObjectReader, begin: _Begin, number: int, *, places: _Places | None, until_s: float
) -> FoundLine | None:
    """Read on to a line."""
    digest, head, is_begun = hashlib.sha256(), b"", False
    current, offset = begin.line, begin.offset
    for chunk in reader.chunks():
        if time.monotonic() > until_s:
            raise TimedOut("the raw line was not found in time; ask again, what was read is remembered")
        ends = np.flatnonzero(np.frombuffer(chunk, dtype=np.uint8) == _LF)
        if places is not None:
            places.remember(current, offset, ends)
        wanted = number - current
        if wanted <= len(ends):
            first = int(ends[wanted - 1]) + 1 if wanted > 0 else 0
            stop = int(ends[wanted]) if wanted < len(ends) else len(chunk)
            part = chunk[first:stop]
            digest.update(part)
            head = (head + part[:HEAD_BYTES])[:HEAD_BYTES]
            is_begun = is_begun or first < len(chunk)
            if wanted < len(ends):
                return FoundLine(digest.hexdigest(), head)
        # A line that is not complete goes on in the next chunk.
        current += len(ends)
        offset += len(chunk)
    return FoundLine(digest.hexdigest(), head) if is_begun and current == number else None
