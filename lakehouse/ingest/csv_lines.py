"""The lines of a CSV on their way into Python's `csv` reader: looked at, counted, and never more than one record held.

Belongs here: physical lines, their places, what the reader would let pass, the bound on a record. Not here: fields (see
csv_scanner.py), where a record ends that is too long (see csv_record_end.py).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.ingest.csv_record_end import Place, find_record_end
from lakehouse.ingest.ways_out import ENCODING

MAX_RECORD_CHARS = 16 << 20
# Of a refused record so much is kept.
RAW_CHARS = 65_536
OPEN_QUOTE = "a quote is opened and never closed"
TOO_LONG = f"a record of more than {MAX_RECORD_CHARS >> 20} million characters"
_BOM = b"\xef\xbb\xbf"
_UNREADABLE = re.compile("[\udc80-\udcff]")


class RecordRefused(Exception):
    """A record ends before its reader could make fields of it; `RecordLines.problem` says why."""


class RecordLines:
    """Yields the lines of one record after the other to a reader that asks for as many as it needs.

    Args:
        binary: The file.
        place: Where to begin.
        delimiter: Of the fields.
        encoding: What the file was before it was made UTF-8, for messages.
        most_chars: Of a record.
    """

    def __init__(
        self, binary: io.BufferedReader, place: Place, *, delimiter: str, encoding: str, most_chars: int
    ) -> None:
        self._binary = binary
        binary.seek(place.offset)
        # newline="": CR, LF and CRLF end a line and stay as they are, as the csv module wants it. Invalid bytes come
        # through as surrogates, so that the line that has them can be named.
        self._stream = io.TextIOWrapper(binary, encoding="utf-8", errors="surrogateescape", newline="")
        self._most_chars = most_chars
        self._offset, self._line = place.offset, place.line
        self._delimiter = delimiter
        self._encoding = encoding
        self.problem: str | None = None
        self.behind_first_line = place
        self._kept: list[str] = []
        self._chars = 0

    def begin(self) -> int:
        """Forget the record before; returns the number of the physical line on which the next one begins."""
        self.problem = None
        self._kept.clear()
        self._chars = 0
        return self._line + 1

    def raw(self) -> str:
        """The record as it came, up to `RAW_CHARS`; of one whose quote is never closed, its first line.

        Bytes that are not of the encoding are shown as `\\xNN`.
        """
        text = "".join(self._kept[:1] if self.problem == OPEN_QUOTE else self._kept)[:RAW_CHARS]
        text = text.removesuffix("\n").removesuffix("\r")
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")[:RAW_CHARS]

    def __iter__(self) -> RecordLines:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(self._most_chars + 1 - self._chars)
        if not line:
            raise StopIteration
        if self._chars < RAW_CHARS:
            self._kept.append(line)
        is_first, self._chars = not self._chars, self._chars + len(line)
        if self._chars > self._most_chars:
            self._pass_over(is_first=is_first)
            raise RecordRefused
        self._line += 1
        self._offset += len(line) if line.isascii() else len(line.encode("utf-8", "surrogateescape"))
        if is_first:
            self.behind_first_line = Place(self._offset, self._line)
        if "\x00" in line:
            self.problem = self.problem or "a NUL byte"
            return line.replace("\x00", "")
        if not line.isascii() and _UNREADABLE.search(line):
            self.problem = self.problem or f"bytes that are not {self._encoding}; {ENCODING}"
        return line

    def _pass_over(self, *, is_first: bool) -> None:
        """Go on behind a record that is too long, found from the line that makes it so, and say what is wrong."""
        # Where a reader asks for a second line, a quote is open.
        start = Place(self._offset, self._line)
        end = find_record_end(self._binary, start, self._delimiter, is_open=not is_first)
        if is_first:
            self.behind_first_line = end.first_line
        self._offset, self._line = end.record.offset, end.record.line
        self._stream.seek(self._offset)
        self.problem = OPEN_QUOTE if end.is_open else TOO_LONG


@contextmanager
def open_lines(path: Path, place: Place, *, delimiter: str, encoding: str, most_chars: int) -> Iterator[RecordLines]:
    """The lines of a UTF-8 file from a place on; a byte order mark at its begin is passed over."""
    with path.open("rb") as binary:
        offset = place.offset or (len(_BOM) if binary.read(len(_BOM)) == _BOM else 0)
        begin = Place(offset, place.line)
        yield RecordLines(binary, begin, delimiter=delimiter, encoding=encoding, most_chars=most_chars)
