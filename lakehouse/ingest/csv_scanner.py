"""The exact CSV scanner: reads as Python's `csv` module does (strict), and says where and why it cannot.

Belongs here: records with their physical lines, header rules, dialect sniffing, rewriting into a canonical CSV that any
reader takes alike. Not here: typing of whole columns (see grammar.py and lakehouse/adapters/conversion_child.py).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lakehouse.errors import Unprocessable
from lakehouse.ingest.grammar import fits

# One stray quote can swallow the rest of a file; so often is the scan taken up again behind it.
MAX_RECORD_CHARS = 16 << 20
MAX_RESUMPTIONS = 100
_STATE_ENCODING = "state the file's encoding with encoding="
_SNIFFED = ",\t;|"
csv.field_size_limit(2**31 - 1)


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be loaded: its number (1 is the first after the header), its first physical line, why."""

    record: int
    line: int
    reason: str
    raw: str

    def error(self, file_name: str) -> Unprocessable:
        """The error that refuses the file for it."""
        return Unprocessable(
            f"{file_name or 'the file'}: record {self.record}, line {self.line}: {self.reason}. Nothing was loaded;"
            " correct the file, or send on_error=quarantine to load the good records",
            record=self.record,
            line=self.line,
            reason=self.reason,
        )


class CsvScanner:
    """The records of one UTF-8 file.

    Args:
        path: The file; a byte order mark is skipped.
        delimiter: One character.
        types: Type by column index; a value that does not fit makes its record bad.
        encoding: What the file was before it was made UTF-8, for messages.
    """

    def __init__(
        self, path: Path, delimiter: str, *, types: Mapping[int, str] | None = None, encoding: str = "utf-8"
    ) -> None:
        self._path = path
        self._encoding = encoding
        self._delimiter = delimiter
        self._types = dict(types or {})

    def header(self) -> list[str]:
        """The column names.

        Raises:
            Unprocessable: The file is empty, or a name is empty or there twice.
        """
        for line, fields, bad in self._scan(0):
            if bad is not None:
                raise Unprocessable(f"the header (line {line}): {bad}", record=0, line=line, reason=bad)
            return check_header(fields, line)
        raise Unprocessable("the file is empty: it needs a header line with the names of the columns", record=0, line=1)

    def records(self) -> Iterator[tuple[list[str], None] | tuple[None, BadRecord]]:
        """Yield each record after the header: its fields, or why it is bad. Blank lines are no records."""
        width = len(self.header())
        number = -1  # the header is record 0
        skipped_lines, resumptions = 0, 0
        while True:
            for line, fields, bad in self._scan(skipped_lines):
                number += 1
                if number == 0:
                    continue
                reason = bad or self._misfit(fields, width)
                if reason is None:
                    yield fields, None
                    continue
                yield None, BadRecord(number, line, reason, self._raw(line, fields))
                if bad is not None and bad.startswith("a quote is opened") and resumptions < MAX_RESUMPTIONS:
                    skipped_lines, resumptions = line, resumptions + 1
                    break
            else:
                return

    def placed_records(self) -> Iterator[tuple[int, int, list[str]]]:
        """Yield the number, the first physical line and the fields of each record after the header."""
        for number, (line, fields, _) in enumerate(self._scan(0)):
            if number:
                yield number, line, fields

    def _misfit(self, fields: Sequence[str], width: int) -> str | None:
        if len(fields) != width:
            return f"{len(fields)} fields where the header has {width}"
        if sum(map(len, fields)) > MAX_RECORD_CHARS:
            return f"a record of more than {MAX_RECORD_CHARS >> 20} million characters"
        for index, type_ in self._types.items():
            if not fits(fields[index], type_):
                return f"column {index + 1}: {fields[index][:80]!r} is no {type_}"
        return None

    def _raw(self, line: int, fields: Sequence[str]) -> str:
        with _open_lines(self._path) as lines:
            text = "".join(islice(lines, line - 1, line)) if not fields else self._delimiter.join(fields)
        return text.rstrip("\r\n").encode("utf-8", "backslashreplace").decode()[:65_536]

    def _scan(self, skip_lines: int) -> Iterator[tuple[int, list[str], str | None]]:
        """Yield `(first physical line, fields, what is wrong)` for each record that is not a blank line."""
        with _open_lines(self._path) as lines:
            guarded = _GuardedLines(islice(lines, skip_lines, None), self._encoding)
            reader = csv.reader(guarded, delimiter=self._delimiter, strict=True)
            while True:
                line = skip_lines + guarded.count + 1
                try:
                    fields = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield line, [], guarded.take_problem() or _explain(str(error))
                    continue
                problem = guarded.take_problem()
                if problem is not None:
                    yield line, [], problem
                elif fields:
                    yield line, fields, None


class _GuardedLines:
    """Lines on their way into the reader, looked at for what it would let pass."""

    def __init__(self, lines: Iterator[str], encoding: str) -> None:
        self._lines = lines
        self._encoding = encoding
        self._problem: str | None = None
        self.count = 0

    def __iter__(self) -> _GuardedLines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.count += 1
        if "\x00" in line:
            self._problem = self._problem or "a NUL byte"
            return line.replace("\x00", "")
        if not line.isascii() and any("\udc80" <= c <= "\udcff" for c in line):
            self._problem = self._problem or f"bytes that are not {self._encoding}; {_STATE_ENCODING}"
        return line

    def take_problem(self) -> str | None:
        problem, self._problem = self._problem, None
        return problem


def check_header(fields: Sequence[str], line: int) -> list[str]:
    """The header's names when each column has one of its own.

    Raises:
        Unprocessable: A name is empty, or there twice (SQL does not tell upper from lower case).
    """
    seen: dict[str, str] = {}
    for position, name in enumerate(fields, start=1):
        reason = None
        if not name.strip():
            reason = f"column {position} has no name"
        elif name.casefold() in seen:
            reason = f"column {position} is named {name!r} like an earlier one"
        elif "\x1f" in name or "\x1e" in name:
            reason = f"column {position} has a control character in its name"
        if reason:
            raise Unprocessable(f"the header (line {line}): {reason}", record=0, line=line, reason=reason)
        seen[name.casefold()] = name
    return list(fields)


def sniff_delimiter(path: Path) -> str:
    """The delimiter, of comma, tab, semicolon and bar, that splits the first records into the most equal columns."""

    def score(delimiter: str) -> tuple[int, int]:
        widths = []
        for _, fields, bad in islice(CsvScanner(path, delimiter)._scan(0), 50):
            widths.append(0 if bad else len(fields))
        is_even = bool(widths) and min(widths) == max(widths) > 1
        return (int(is_even), max(widths[:1], default=0))

    return max(_SNIFFED, key=score)


def rewrite_canonical(scanner: CsvScanner, target: Path, take_bad: Callable[[BadRecord], None]) -> int:
    """Write the good records as a CSV with every field quoted and LF line ends.

    Returns the size in bytes of the longest one, at least.

    Args:
        scanner: The file to read.
        target: The file to write.
        take_bad: Is given each bad record, and may refuse the file.
    """
    longest = 0
    with target.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(scanner.header())
        for fields, bad in scanner.records():
            if bad is not None:
                take_bad(bad)
            elif fields is not None:
                # The writer gives the number of characters; each takes up to four bytes.
                longest = max(longest, 4 * int(writer.writerow(fields)))
    return longest


@contextmanager
def _open_lines(path: Path) -> Iterator[Iterator[str]]:
    # newline="": CR, LF and CRLF end a line and stay as they are, as the csv module wants it. Invalid bytes come
    # through as surrogates, so that the line that has them can be named.
    with path.open("rb") as binary:
        if binary.read(3) != b"\xef\xbb\xbf":
            binary.seek(0)
        yield io.TextIOWrapper(binary, encoding="utf-8", errors="surrogateescape", newline="")


def _explain(message: str) -> str:
    if "unexpected end of data" in message:
        return "a quote is opened and never closed"
    if "expected after" in message:
        return "text follows a closing quote; a quote inside a quoted field is written twice"
    return message
