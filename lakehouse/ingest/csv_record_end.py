"""Where a CSV record ends that is too long to be held, found in blocks of bytes.

Belongs here: places in a file, quotes and line ends over blocks. Not here: records that are read (see csv_lines.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import IO

_BLOCK_BYTES = 1 << 20
_QUOTE, _CR, _LF = b'"\r\n'
_QUOTES = re.compile(rb'"+')
# A set first: the search for it is four times as fast as that for alternatives.
_QUOTES_OR_LINE_END = re.compile(rb'["\r\n](?:(?<=")"+|(?<=\r)\n)?')


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line begins: after so many bytes and lines of the file."""

    offset: int = 0
    line: int = 0


@dataclass(frozen=True, slots=True)
class RecordEnd:
    """The places behind a record and behind its first line; `is_open` when the file ends inside its quotes."""

    record: Place
    first_line: Place
    is_open: bool


def find_record_end(
    stream: IO[bytes], start: Place, delimiter: str, *, is_open: bool, block_bytes: int = _BLOCK_BYTES
) -> RecordEnd:
    """Find the end of a record of a UTF-8 file, in which every character that matters is one byte.

    Args:
        stream: The file; its position is moved.
        start: The begin of a line of the record.
        delimiter: Of the fields.
        is_open: Whether a quote is open there.
        block_bytes: How much is looked at in one go.
    """
    quotes = _Quotes(delimiter, is_open=is_open)
    place, first_line, last = start, None, _LF
    stream.seek(start.offset)
    while block := stream.read(block_bytes):
        if first_line is None and (size := _first_line_size(block)) is not None:
            first_line = Place(place.offset + size, start.line + 1)
        size = quotes.feed(block)
        part = block if size is None else block[:size]
        place = Place(place.offset + len(part), place.line + _count_line_ends(part, last))
        last = part[-1]
        if size is not None:
            break
    record = _behind_line_end(stream, place)
    return RecordEnd(record, _behind_line_end(stream, first_line) if first_line else record, quotes.is_open)


class _Quotes:
    """Whether a quote is open, over blocks."""

    def __init__(self, delimiter: str, *, is_open: bool) -> None:
        self._before_fields = (*delimiter.encode(), _CR, _LF)
        self._last = _LF
        self._is_run_counted = False
        self.is_open = is_open

    def feed(self, block: bytes) -> int | None:
        """Take the next block; returns where in it the record ends, None when it goes on."""
        position, has_line_end = 0, b"\n" in block or b"\r" in block
        while found := self._next(block, position, has_line_end=has_line_end):
            begin, position = found.span()
            if block[begin] != _QUOTE:
                return position
            before = block[begin - 1] if begin else self._last
            # A run of quotes counts inside quotes, where a field begins, and where it goes on from the block before.
            # Inside, an even one is doubled quotes; a field that begins with an even one is closed again.
            is_same_run = before == _QUOTE and self._is_run_counted
            self._is_run_counted = self.is_open or is_same_run or before in self._before_fields
            if self._is_run_counted and (position - begin) % 2:
                self.is_open = not self.is_open
        self._last = block[-1]
        return None

    def _next(self, block: bytes, position: int, *, has_line_end: bool) -> re.Match[bytes] | None:
        if has_line_end and not self.is_open:
            return _QUOTES_OR_LINE_END.search(block, position)
        begin = block.find(b'"', position)  # far faster than a search by pattern
        return _QUOTES.match(block, begin) if begin >= 0 else None


def _first_line_size(block: bytes) -> int | None:
    # Split by LF first: a search for either is far slower where a block has none.
    head, feed, _ = block.partition(b"\n")
    line, back, rest = head.partition(b"\r")
    if back and (rest or not feed):
        return len(line) + 1
    return len(head) + 1 if feed else None


def _count_line_ends(part: bytes, last: int) -> int:
    is_second_half = last == _CR and part.startswith(b"\n")
    return part.count(b"\n") + part.count(b"\r") - part.count(b"\r\n") - is_second_half


def _behind_line_end(stream: IO[bytes], place: Place) -> Place:
    """The place, moved behind the LF when it stands in the middle of a CRLF, where a block has ended."""
    stream.seek(max(0, place.offset - 1))
    return Place(place.offset + 1, place.line) if stream.read(2) == b"\r\n" else place
