"""The exact CSV scanner: reads as Python's `csv` module does (strict), and says where and why it cannot.

Belongs here: records, header rules, dialect sniffing, rewriting into a canonical CSV that any reader takes alike. Not
here: physical lines (see csv_lines.py), typing of whole columns (see grammar.py, lakehouse/adapters/conversion_csv.py).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lakehouse.counted import counted
from lakehouse.errors import Unprocessable
from lakehouse.ingest.csv_lines import MAX_RECORD_CHARS, OPEN_QUOTE, RecordLines, RecordRefused, open_lines
from lakehouse.ingest.csv_record_end import Place
from lakehouse.ingest.grammar import fits
from lakehouse.ingest.ways_out import QUARANTINE

# One stray quote can swallow the rest of a file; so often is the scan taken up again behind it.
MAX_RESUMPTIONS = 100
# More columns than this no conversion holds; a longer name is a file without line ends.
MAX_COLUMNS = 10_000
MAX_NAME_CHARS = 1_000
_SNIFFED = ",\t;|"
_BEGIN = Place()
csv.field_size_limit(MAX_RECORD_CHARS)


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
            f" correct the file, or {QUARANTINE} to load the good records",
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
        most_chars: Of a record; a longer one is bad, and is passed over without being held.
        fit: True for a text that is a value of a type.
    """

    def __init__(
        self,
        path: Path,
        delimiter: str,
        *,
        types: Mapping[int, str] | None = None,
        fit: Callable[[str, str], bool] = fits,
        encoding: str = "utf-8",
        most_chars: int = MAX_RECORD_CHARS,
    ) -> None:
        self._path = path
        self._encoding = encoding
        self._delimiter = delimiter
        self._types = dict(types or {})
        self._fit = fit
        self._most_chars = most_chars

    def header(self) -> list[str]:
        """The column names.

        Raises:
            Unprocessable: The file is empty, or a name is empty or there twice.
        """
        with self._open() as lines:
            for line, fields, bad in self._scan(lines):
                if bad is not None:
                    raise Unprocessable(f"the header (line {line}): {bad}", record=0, line=line, reason=bad)
                return check_header(fields, line)
        raise Unprocessable("the file is empty: it needs a header line with the names of the columns", record=0, line=1)

    def records(self) -> Iterator[tuple[list[str], None] | tuple[None, BadRecord]]:
        """Yield each record after the header: its fields, or why it is bad. Blank lines are no records."""
        width = len(self.header())
        number = -1  # the header is record 0
        place, resumptions = Place(), 0
        while True:
            with self._open(place) as lines:
                for line, fields, bad in self._scan(lines):
                    number += 1
                    if number == 0:
                        continue
                    reason = bad or self._misfit(fields, width)
                    if reason is None:
                        yield fields, None
                        continue
                    yield None, BadRecord(number, line, reason, lines.raw())
                    if bad == OPEN_QUOTE and resumptions < MAX_RESUMPTIONS:
                        place, resumptions = lines.behind_first_line, resumptions + 1
                        break
                else:
                    return

    def placed_records(self) -> Iterator[tuple[int, int, list[str]]]:
        """Yield the number, the first physical line and the fields of each record after the header."""
        with self._open() as lines:
            for number, (line, fields, _) in enumerate(self._scan(lines)):
                if number:
                    yield number, line, fields

    def first_widths(self, count: int) -> list[int]:
        """How many fields each of the first records has, the header among them; 0 for a bad one."""
        with self._open() as lines:
            return [0 if bad else len(fields) for _, fields, bad in islice(self._scan(lines), count)]

    def _open(self, place: Place = _BEGIN) -> AbstractContextManager[RecordLines]:
        return open_lines(
            self._path, place, delimiter=self._delimiter, encoding=self._encoding, most_chars=self._most_chars
        )

    def _misfit(self, fields: Sequence[str], width: int) -> str | None:
        if len(fields) != width:
            return f"{counted(len(fields), 'field')} where the header has {width}"
        for index, type_ in self._types.items():
            if not self._fit(fields[index], type_):
                return f"column {index + 1}: {fields[index][:80]!r} is not a {type_}"
        return None

    def _scan(self, lines: RecordLines) -> Iterator[tuple[int, list[str], str | None]]:
        """Yield `(first physical line, fields, what is wrong)` for each record that is not a blank line."""
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        while True:
            line = lines.begin()
            try:
                fields = next(reader)
            except StopIteration:
                return
            except RecordRefused:
                yield line, [], lines.problem
            except csv.Error as error:
                explained = _explain(str(error))
                # An open quote stands first: what else is wrong is met again behind the line that opens it.
                lines.problem = explained if explained == OPEN_QUOTE else lines.problem or explained
                yield line, [], lines.problem
            else:
                if lines.problem is not None:
                    yield line, [], lines.problem
                elif fields:
                    yield line, fields, None


def check_header(fields: Sequence[str], line: int) -> list[str]:
    """The header's names when each column has one of its own.

    Raises:
        Unprocessable: A name is empty, too long, or there twice (SQL does not tell upper from lower case), or there are
            too many.
    """
    seen: dict[str, str] = {}
    for position, name in enumerate(fields, start=1):
        reason = None
        if position > MAX_COLUMNS:
            reason = f"more than {MAX_COLUMNS:,} columns; a record ends where its line ends"
        elif not name.strip():
            reason = f"column {position} has no name"
        elif len(name) > MAX_NAME_CHARS:
            reason = f"column {position} has a name of more than {MAX_NAME_CHARS:,} characters"
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
        widths = CsvScanner(path, delimiter).first_widths(50)
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


def _explain(message: str) -> str:
    if "unexpected end of data" in message:
        return OPEN_QUOTE
    if "expected after" in message:
        return "text follows a closing quote; a quote inside a quoted field is written twice"
    return message
