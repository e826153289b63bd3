"""Raw files as blocks of lines that the engine reads in place, without a Python object for each line.

Blocks are cut at lines and go on over small files, so that a day of many parts costs no more than one large one.

Belongs here: cutting bytes into lines, their hashes, which lines are no text at all. Not here: what is in a line (see
evidence_sql.py), making hashes (see evidence_hashes.py).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from lakehouse.adapters.evidence_hashes import hashes_of_slices
from lakehouse.errors import BadInput
from lakehouse.evidence.fitness import MAX_DEPTH, MAX_KEPT_BYTES, MAX_LINE_BYTES, NOT_UTF8, TOO_LONG

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

_LF = 10
_INLINED = 12
_PIECE = 256 << 10
_DAY = re.compile(r"/dt=(\d{4}-\d\d-\d\d)/")
_NO_DAY = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class RawFile:
    """A raw object: its key in the bucket, and where its bytes lie here."""

    source_key: str
    path: Path

    @property
    def day_us(self) -> int | None:
        """The day of its folder as microseconds since 1970, or None where its key has none."""
        found = _DAY.search(self.source_key)
        if found is None:
            return None
        try:
            day = datetime.strptime(found[1], "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            return None
        return int(day.timestamp()) * 1_000_000


@dataclass(frozen=True, slots=True)
class _Part:
    """Whole lines of one file, each ended by LF; `cut_sha256`: it is the begin of one line that is too long."""

    data: bytes | memoryview
    file: int
    first_line: int
    line_count: int
    cut_sha256: str | None = None


@dataclass(slots=True)
class LineBlock:
    """Consecutive lines of sorted files.

    Attributes:
        files: All files; `file` indexes it.
        data: The bytes; line i is `data[starts[i]:ends[i]]`.
        text: The lines as an Arrow string view, empty where they are refused.
        file: For each line its file.
        number: For each line its number in the file, from 1.
        sha256: For each line the SHA-256 of its bytes, hex; of a line that is too long, of all of it.
        is_deep: Whether a line has so many brackets that it may be nested too deep.
        refused: By place, lines that are no text: the reason.
    """

    files: Sequence[RawFile]
    data: bytes | memoryview
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    file: npt.NDArray[np.int32]
    number: npt.NDArray[np.int64]
    sha256: pa.Array
    is_deep: npt.NDArray[np.bool_]
    text: pa.Array = None
    refused: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.starts)

    def line(self, place: int) -> bytes:
        """The bytes of one line."""
        return bytes(self.data[int(self.starts[place]) : int(self.ends[place])])

    def table(self, checked: Sequence[int] | None = None) -> pa.Table:
        """The relation `lines` of `evidence_statement`, `ordinal` being the place in the block.

        Args:
            checked: Only these places, which Python has found to be fit; None: all, unchecked.
        """
        import pyarrow as pa

        days = np.array([_NO_DAY if f.day_us is None else f.day_us for f in self.files], dtype=np.int64)[self.file]
        if checked is None:
            places, text = np.arange(len(self), dtype=np.int64), self.text
        else:
            # Arrow cannot pick rows of a string view.
            places = np.array(checked, dtype=np.int64)
            text = pa.array([self.line(place).decode() for place in checked], pa.string_view())
        columns: dict[str, Any] = {
            "ordinal": places,
            "text": text,
            "is_checked": np.full(len(places), checked is not None),
            "is_deep": self.is_deep[places],
            "day_us": pa.array(days[places], mask=days[places] == _NO_DAY),
        }
        return pa.table(columns)


def read_blocks(files: Sequence[RawFile], *, block_bytes: int) -> Iterator[LineBlock]:
    """The lines of files, in the order of their keys, in blocks of about so many bytes.

    Raises:
        BadInput: Two files have the same key.
    """
    ordered = sorted(files, key=lambda f: f.source_key)
    for one, other in pairwise(ordered):
        if one.source_key == other.source_key:
            raise BadInput(f"raw object {one.source_key!r} is given twice; give each once")
    parts: list[_Part] = []
    for number, file in enumerate(ordered):
        with file.path.open("rb", buffering=0) as reader:
            for part in _parts(reader, number, block_bytes):
                parts.append(part)
                if sum(len(p.data) for p in parts) >= block_bytes // 2:
                    yield _block(ordered, parts)
                    parts = []
    if parts:
        yield _block(ordered, parts)


def _parts(reader: BinaryIO, file: int, block_bytes: int) -> Iterator[_Part]:
    carried, line = b"", 1
    while True:
        # No larger than the rest of the file: a block may gather the lines of thousands of small files.
        left = os.fstat(reader.fileno()).st_size - reader.tell()
        room = bytearray(len(carried) + min(block_bytes, left))
        room[: len(carried)] = carried
        got = reader.readinto(memoryview(room)[len(carried) :])  # type: ignore[attr-defined]
        size = len(carried) + got
        if not got:
            if carried:
                last = carried if carried.endswith(b"\n") else carried + b"\n"
                yield _Part(last, file, line, last.count(b"\n"))
            return
        end = room.rfind(b"\n", 0, size) + 1
        if end:
            count = room.count(b"\n", 0, end)
            yield _Part(memoryview(room)[:end], file, line, count)
            line += count
        carried = bytes(memoryview(room)[end:size])
        if len(carried) > MAX_LINE_BYTES:
            kept, sha256, carried = _skip(reader, carried, block_bytes)
            yield _Part(kept + b"\n", file, line, 1, sha256)
            line += 1


def _skip(reader: BinaryIO, begun: bytes, block_bytes: int) -> tuple[bytes, str, bytes]:
    """Read to the end of a line that is too long; gives its begin, its SHA-256, and what was read behind it."""
    digest = hashlib.sha256(begun)
    while chunk := reader.read(block_bytes):
        rest, lf, behind = chunk.partition(b"\n")
        digest.update(rest)
        if lf:
            # The bytes behind the line are carried over; they may hold whole lines, which the next round cuts.
            return begun[:MAX_KEPT_BYTES], digest.hexdigest(), behind
    return begun[:MAX_KEPT_BYTES], digest.hexdigest(), b""


def _block(files: Sequence[RawFile], parts: Sequence[_Part]) -> LineBlock:
    data = parts[0].data if len(parts) == 1 else b"".join(p.data for p in parts)
    octets = np.frombuffer(data, dtype=np.uint8)
    ends = _places(octets, lambda some: some == _LF)
    starts = np.concatenate([np.zeros(1, dtype=np.int64), ends[:-1] + 1])
    counts = [p.line_count for p in parts]
    firsts = list(accumulate(counts[:-1], initial=0))
    cut = {place: p.cut_sha256 for place, p in zip(firsts, parts, strict=True) if p.cut_sha256 is not None}
    block = LineBlock(
        files=files,
        data=data,
        starts=starts,
        ends=ends,
        file=np.repeat(np.array([p.file for p in parts], dtype=np.int32), counts),
        number=np.concatenate([np.arange(p.first_line, p.first_line + p.line_count, dtype=np.int64) for p in parts]),
        sha256=hashes_of_slices(data, starts, ends, known=cut),
        is_deep=_bracket_counts(octets, ends) > MAX_DEPTH,
    )
    too_long = (*cut, *np.flatnonzero(ends - starts > MAX_LINE_BYTES).tolist())
    block.refused = dict.fromkeys(too_long, TOO_LONG)
    if not _is_utf8(data):
        _refuse_other_bytes(block)
    block.text = _views(octets, starts, ends, list(block.refused))
    return block


def _places(
    octets: npt.NDArray[np.uint8], is_sought: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.bool_]]
) -> npt.NDArray[np.int64]:
    """The positions of certain bytes; searched in pieces that fit into the processor's cache."""
    begins = range(0, len(octets), _PIECE)
    return np.concatenate([np.flatnonzero(is_sought(octets[begin : begin + _PIECE])) + begin for begin in begins])


def _bracket_counts(octets: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many `[` and `{` each line has; the two differ by one bit."""
    opened = _places(octets, lambda some: (some & 0xDF) == ord("["))
    return np.diff(np.searchsorted(opened, ends), prepend=0).astype(np.int64)


def _is_utf8(data: bytes | memoryview) -> bool:
    import pyarrow as pa

    offsets = pa.py_buffer(np.array([0, len(data)], dtype=np.int64))
    whole = pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.py_buffer(data)])
    try:
        whole.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _refuse_other_bytes(block: LineBlock) -> None:
    for place in range(len(block)):
        line = block.line(place)
        if place in block.refused:
            continue
        try:
            line.decode()
        except UnicodeDecodeError:
            block.refused[place] = NOT_UTF8


def _views(
    octets: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], refused: list[int]
) -> pa.Array:
    """The lines as an Arrow string view over the bytes, those that are refused empty.

    Source: Arrow columnar format, variable-size binary view layout.
    """
    import pyarrow as pa

    sizes = (ends - starts).astype(np.int32)
    sizes[refused] = 0
    count = len(starts)
    heads = octets[np.minimum(starts[:, None] + np.arange(_INLINED), len(octets) - 1)]
    heads[np.arange(_INLINED) >= sizes[:, None]] = 0
    views = np.zeros((count, 16), dtype=np.uint8)
    views[:, 0:4] = sizes.view(np.uint8).reshape(count, 4)
    views[:, 4:16] = heads
    places = np.zeros((count, 2), dtype=np.int32)
    places[:, 1] = starts
    is_long = sizes > _INLINED
    views[is_long, 8:16] = places.view(np.uint8).reshape(count, 8)[is_long]
    return pa.Array.from_buffers(pa.string_view(), count, [None, pa.py_buffer(views), pa.py_buffer(octets)])
