"""Evidence out of one bucket and into another: see lakehouse/evidence/exchange.py for the lines.

Lines come in as raw objects named by their content (`raw/<stream>/dt=…/exchange-….jsonl`), from which `materialize`
makes evidence: taking a file in twice adds nothing, and a file with one wrong line is taken in not at all.

Belongs here: the statement, raw objects read and written. Not here: the form of a line.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from lakehouse.errors import BadInput, NotFound, PreconditionFailed
from lakehouse.evidence.days import day_of, day_prefix
from lakehouse.evidence.exchange import ExchangedLine, read_line
from lakehouse.evidence.fitness import MAX_LINE_BYTES
from lakehouse.storage.lines import lines_of
from lakehouse.storage.objects import ObjectStore
from lakehouse.storage.publish import hash_file

if TYPE_CHECKING:
    import duckdb

_ISO = "strftime({0}, '%Y-%m-%dT%H:%M:%S.%fZ')"
_AT_ONCE = 512
_MOST_BYTES = (
    5 * MAX_LINE_BYTES
)  # a raw line and its record, in texts of JSON each up to twice as long, and their place
_MOST_OPEN = 64
_RECORDS = f"""
SELECT provenance.source_key, provenance.line, stream, to_json(struct_update(
  r, "timestamp" := {_ISO.format("r.timestamp")}, "metadata" := r.metadata::JSON,
  "provenance" := struct_update(r.provenance, "recorded_at" := {_ISO.format("r.provenance.recorded_at")}),
  "human_override" := CASE WHEN r.human_override IS NOT NULL THEN
    struct_update(r.human_override, "at" := {_ISO.format('r.human_override."at"')}) END
))::VARCHAR AS record
FROM (SELECT *, r FROM evidence r)
WHERE {{where}} ORDER BY provenance.source_key, provenance.line"""


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What came of a file: its lines, and the raw objects that hold them, those that are new here."""

    lines: int
    objects: tuple[str, ...]
    new_objects: int


def write_out(
    engine: duckdb.DuckDBPyConnection,
    store: ObjectStore,
    target: BinaryIO,
    *,
    where: str = "true",
    values: tuple[object, ...] = (),
) -> int:
    """Write evidence as lines of the exchange, in the order of its raw lines.

    Args:
        engine: Has the relation `evidence`.
        store: The bucket that holds the raw objects.
        target: Where lines go.
        where: A condition on evidence, with `?` for values.
        values: Those values.

    Returns:
        How many there are.

    Raises:
        NotFound: A raw object is gone; what was written so far is whole.
        StoreUnavailable: The store does not answer.
    """
    found = engine.execute(_RECORDS.format(where=where), list(values))
    key, count = "", 0
    lines: Iterator[tuple[int, bytes]] = iter(())
    while rows := found.fetchmany(_AT_ONCE):
        for source_key, number, stream, record in rows:
            if source_key != key:
                key, lines = source_key, _lines(store, source_key)
            raw = next((line for at, line in lines if at == number), None)
            day = day_of(source_key, stream)
            if raw is None or day is None:
                raise NotFound(
                    f"line {number} of {source_key!r} is not there; `lakehouse audit` says what else is wrong"
                )
            target.write(ExchangedLine(stream, day, raw).to_json(record.encode()))
            count += 1
    return count


def take_in(store: ObjectStore, source: BinaryIO, *, work_dir: Path, is_dry: bool = False) -> TakenIn:
    """Take the lines of a file in as raw objects.

    Args:
        store: The bucket.
        source: The file.
        work_dir: Local folder for lines on their way; made where it is missing.
        is_dry: Only look at it.

    Raises:
        BadInput: Naming the first line that is wrong; nothing was taken in.
        StoreUnavailable: The store does not answer; taking the file in again goes on from here.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    count = 0
    with tempfile.TemporaryDirectory(prefix="exchange-", dir=work_dir) as name:
        with _DayFiles(Path(name)) as files:
            while line := source.readline(_MOST_BYTES):
                count += 1
                if not line.endswith(b"\n") and len(line) >= _MOST_BYTES:
                    raise BadInput(f"line {count} is longer than a line of the exchange can be", line=count)
                files.add(read_line(line, number=count))
        objects, new = [], 0
        for (stream, day), path in sorted(files.paths.items()):
            key = f"{day_prefix(stream, day)}exchange-{hash_file(path)[:32]}.jsonl"
            objects.append(key)
            if not is_dry:
                new += _put(store, key, path)
    return TakenIn(count, tuple(objects), new)


class _DayFiles:
    """Lines on their way, in one local file for each stream and day; only those last written to are open.

    Attributes:
        paths: By stream and day.
    """

    def __init__(self, folder: Path) -> None:
        self.paths: dict[tuple[str, date], Path] = {}
        self._folder = folder
        self._open: dict[tuple[str, date], BinaryIO] = {}  # the one not written to for longest first

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            self._close_first()

    def add(self, line: ExchangedLine) -> None:
        """Write one line."""
        place = (line.stream, line.day)
        file = self._open.pop(place, None)
        if file is None:
            if len(self._open) >= _MOST_OPEN:
                self._close_first()
            file = self.paths.setdefault(place, self._folder / f"{len(self.paths)}.jsonl").open("ab")
        self._open[place] = file
        file.write(line.raw + b"\n")

    def _close_first(self) -> None:
        self._open.pop(next(iter(self._open))).close()


def _put(store: ObjectStore, key: str, path: Path) -> bool:
    try:
        store.put(key, path, if_absent=True, content_type="application/x-ndjson")
    except PreconditionFailed:
        return False
    return True


def _lines(store: ObjectStore, key: str) -> Iterator[tuple[int, bytes]]:
    """The lines of a raw object with their numbers, from 1."""
    with store.open(key) as reader:
        for number, line in enumerate(lines_of(reader.chunks()), start=1):
            yield number, line.removesuffix(b"\n")
