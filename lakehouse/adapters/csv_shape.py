"""The shape of a CSV's bytes: whether a lenient, fast reader is sure to see the same records as a strict one.

DuckDB's reader accepts what Python's `csv` refuses or reads differently: spaces around quotes, an extra empty field at
the end of a line, mixed line ends. So the bytes are checked first: when all quotes, line ends and delimiters stand
where RFC 4180 has them, every reader sees the same records.

Belongs here: that check, in blocks of flat memory. Not here: reading (see conversion_csv.py, lakehouse/ingest).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO as RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BLOCK_BYTES = 2 << 20
# Half of the longest line that the engine is told of; a longer line fills at least one stretch of this size.
_LONG_LINE_BYTES = 128 << 10
_QUOTE, _CR, _LF = 0x22, 0x0D, 0x0A
_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class CsvShape:
    """What the bytes say. `delimiters` counts those outside quotes and is 0 unless `has_trailing_delimiter`."""

    is_regular: bool = True
    newline: str = "\n"
    has_trailing_delimiter: bool = False
    delimiters: int = 0


def inspect_shape(path: Path, delimiter: str) -> CsvShape:
    """Look at every byte of a UTF-8 file.

    `is_regular` is False when a blank line stands first, when a quote stands elsewhere than around a field or doubled
    inside one, when there is a NUL, when lines end in more than one way, or when one is very long.
    """
    head = _head(path)
    # The engine would take a blank first line for the header, and the header for a row.
    shape = CsvShape(is_regular=not head.startswith((b"\n", b"\r")), newline=_first_line_end(head))
    if not shape.is_regular:
        return shape
    for block in _blocks(path):
        if not _is_regular(block, delimiter, shape):
            shape.is_regular = False
            return shape
    if shape.has_trailing_delimiter:
        shape.delimiters = sum(_count_outside(block, delimiter) for block in _blocks(path))
    return shape


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_BLOCK_BYTES).removeprefix(_BOM)


def _first_line_end(head: bytes) -> str:
    first_feed = head.find(b"\n")
    return "\r\n" if first_feed > 0 and head[first_feed - 1] == _CR else "\n"


@dataclass(slots=True)
class _Block:
    """Some bytes with one neighbour on each side; `quotes_before` are those of the file up to here."""

    raw: bytearray
    data: NDArray[np.uint8]
    before: int
    after: int
    quotes_before: int
    quotes: NDArray[np.int64]
    scratch: tuple[NDArray[np.bool_], ...]


def _blocks(path: Path) -> Iterator[_Block]:
    import numpy as np

    # The buffers are reused: allocating them for each block would cost more than the comparisons.
    buffers = [bytearray(_BLOCK_BYTES), bytearray(_BLOCK_BYTES)]
    scratch = tuple(np.empty(_BLOCK_BYTES, dtype=np.bool_) for _ in range(3))
    before, quotes_before = _LF, 0
    with path.open("rb", buffering=0) as stream:
        if stream.read(len(_BOM)) != _BOM:
            stream.seek(0)
        size = _fill(stream, buffers[0])
        while size:
            following = _fill(stream, buffers[1])
            data = np.frombuffer(buffers[0], dtype=np.uint8, count=size)
            found = np.equal(data, _QUOTE, out=scratch[0][:size])
            quotes = np.flatnonzero(found)
            after = buffers[1][0] if following else _LF
            yield _Block(buffers[0], data, before, after, quotes_before, quotes, scratch)
            before, quotes_before = int(data[-1]), quotes_before + len(quotes)
            buffers.reverse()
            size = following


def _fill(stream: RawIOBase, buffer: bytearray) -> int:
    """Read until the buffer is full or the file ends."""
    view, size = memoryview(buffer), 0
    while size < len(buffer):
        count = stream.readinto(view[size:])
        if not count:
            break
        size += count
    return size


def _is_regular(block: _Block, delimiter: str, shape: CsvShape) -> bool:
    size = len(block.data)
    if block.raw.find(b"\x00", 0, size) >= 0 or _has_long_line(block) or not _has_regular_quotes(block, delimiter):
        return False
    if (shape.newline == "\r\n" or block.raw.find(b"\r", 0, size) >= 0) and not _has_regular_line_ends(block, shape):
        return False
    shape.has_trailing_delimiter = shape.has_trailing_delimiter or _has_trailing_delimiter(block, delimiter, shape)
    return True


def _has_long_line(block: _Block) -> bool:
    """True when some stretch has no line end: the engine may pass over a line that is longer than its buffer."""
    starts = range(0, len(block.data) - _LONG_LINE_BYTES + 1, _LONG_LINE_BYTES)
    return any(block.raw.find(b"\n", start, start + _LONG_LINE_BYTES) < 0 for start in starts)


def _has_trailing_delimiter(block: _Block, delimiter: str, shape: CsvShape) -> bool:
    """True when some line may end in an empty field, quoted or not."""
    import numpy as np

    size, mark, end = len(block.data), ord(delimiter), ord(shape.newline[0])
    ends = np.equal(block.data, end, out=block.scratch[0][:size])
    marks = np.equal(block.data, mark, out=block.scratch[1][:size])
    both = np.logical_and(ends[1:], marks[:-1], out=block.scratch[2][: size - 1])
    # An LF is put behind the file, whatever its lines end in.
    is_last = int(block.data[-1]) == mark and block.after in (end, _LF)
    return bool(both.any()) or is_last or _has_trailing_quotes(block, mark, end)


def _has_trailing_quotes(block: _Block, mark: int, end: int) -> bool:
    """True for a delimiter, two quotes and the end of a line; also where the block begins in the middle of that."""
    import numpy as np

    last = len(block.data) - 1
    following = np.where(block.quotes < last, block.data[np.minimum(block.quotes + 1, last)], block.after)
    second = block.quotes[(following == end) | ((block.quotes == last) & (block.after == _LF))]
    second = second[np.where(second > 0, block.data[np.maximum(second - 1, 0)], block.before) == _QUOTE]
    return bool(
        np.any((second == 0) | (np.where(second > 1, block.data[np.maximum(second - 2, 0)], block.before) == mark))
    )


def _has_regular_quotes(block: _Block, delimiter: str) -> bool:
    """By induction: outside a field an even quote opens one; inside, an odd one closes it or is the first of a pair."""
    import numpy as np

    if not len(block.quotes):
        return True
    previous = np.where(block.quotes > 0, block.data[block.quotes - 1], block.before)
    last = len(block.data) - 1
    following = np.where(block.quotes < last, block.data[np.minimum(block.quotes + 1, last)], block.after)
    is_even = (np.arange(len(block.quotes)) + block.quotes_before) % 2 == 0
    mark = ord(delimiter)
    opens = (previous == mark) | (previous == _LF) | (previous == _QUOTE)
    closes = (following == mark) | (following == _LF) | (following == _CR) | (following == _QUOTE)
    return bool(np.all(np.where(is_even, opens, closes)))


def _has_regular_line_ends(block: _Block, shape: CsvShape) -> bool:
    """Outside quotes there is either no CR, or every CR is before an LF and every LF after a CR."""
    import numpy as np

    returns = np.flatnonzero(block.data == _CR)
    returns = returns[_is_outside(block, returns)]
    if shape.newline == "\n":
        return not len(returns)
    feeds = np.flatnonzero(block.data == _LF)
    feeds = feeds[_is_outside(block, feeds)]
    last = len(block.data) - 1
    following = np.where(returns < last, block.data[np.minimum(returns + 1, last)], block.after)
    previous = np.where(feeds > 0, block.data[feeds - 1], block.before)
    return bool(np.all(following == _LF) and np.all(previous == _CR))


def _count_outside(block: _Block, delimiter: str) -> int:
    import numpy as np

    return int(np.count_nonzero(_is_outside(block, np.flatnonzero(block.data == ord(delimiter)))))


def _is_outside(block: _Block, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
    import numpy as np

    is_outside: NDArray[np.bool_] = (np.searchsorted(block.quotes, positions) + block.quotes_before) % 2 == 0
    return is_outside
