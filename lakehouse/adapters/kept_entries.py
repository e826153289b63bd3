"""Entries that wait for the fold, in unlinked temporary files, as there are tens of thousands and each is read once.

Belongs here: keeping, reading, letting go. Not here: what else one process knows of a log (see memory_applied.py), the
objects that the entries are of (see lakehouse/memory/log_object.py).
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from lakehouse.memory.entry import Entry

# A file is freed when none of its entries waits any more; small files hold few entries that do not.
_FILE_BYTES = 4 << 20
# A failing disk, and JSON that cannot be read back: integers beyond 64 bits, or nested too deeply.
_UNKEPT = (OSError, OverflowError, ValueError, RecursionError)
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(tuple[Entry, ...])


class _Part:
    """A file that only grows; it is freed with the last `Place` that refers to it."""

    def __init__(self, folder: Path | None) -> None:
        self.fd, path = tempfile.mkstemp(prefix="entries-", dir=folder)
        weakref.finalize(self, os.close, self.fd)
        Path(path).unlink()
        self.end = 0

    def append(self, content: bytes) -> int:
        """Write at the end; gives where that is."""
        start, written = self.end, 0
        while written < len(content):
            written += os.pwrite(self.fd, content[written:], start + written)
        self.end += written
        return start


class Place(NamedTuple):
    """Where the entries of one object are; any thread can read it, also after they were forgotten."""

    part: _Part
    start: int
    length: int
    size: int

    def read(self) -> tuple[Entry, ...]:
        """The entries.

        Raises:
            OSError, ValueError, RecursionError: The disk fails, or this thread's stack is small.
        """
        entries: tuple[Entry, ...] = _DECODER.decode(os.pread(self.part.fd, self.length, self.start))
        return entries


class KeptEntries:
    """Entries by their stream and the number of their object; for one thread at a time.

    Entries that cannot be kept are not, and are read from the bucket when they are needed.

    Args:
        folder: Of the files; None: that of the system.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._places: dict[str, dict[int, Place]] = {}
        self._part: _Part | None = None
        self.bytes = 0

    def keep(self, writer: str, seq: int, entries: tuple[Entry, ...], size: int) -> None:
        """Keep the entries of an object of `size` bytes."""
        with suppress(*_UNKEPT):
            content = _ENCODER.encode(entries)
            if self._part is None or self._part.end >= _FILE_BYTES:
                self._part = _Part(self._folder)
            place = Place(self._part, self._part.append(content), len(content), size)
            self._let_go(self._places.setdefault(writer, {}).pop(seq, None))
            self._places[writer][seq] = place
            self.bytes += size

    def find(self, writer: str, first: int, last: int) -> list[Place] | None:
        """Where the entries of the objects `first` to `last` are, if all of them are kept."""
        places = self._places.get(writer, {})
        found = [places[seq] for seq in range(first, last + 1) if seq in places]
        return found if len(found) == max(0, last - first + 1) else None

    def forget(self, folded_through: Mapping[str, int]) -> None:
        """Let go of what is folded."""
        for writer, places in self._places.items():
            for seq in [seq for seq in places if seq <= folded_through.get(writer, 0)]:
                self._let_go(places.pop(seq))

    def drop(self, writer: str) -> None:
        """Let go of a stream."""
        for place in self._places.pop(writer, {}).values():
            self._let_go(place)

    def _let_go(self, place: Place | None) -> None:
        if place is not None:
            self.bytes -= place.size
