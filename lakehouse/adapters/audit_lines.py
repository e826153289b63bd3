"""Raw lines against evidence: those of a sample, or every line of every raw object in one pass over it.

Belongs here: which lines, reading them. Not here: how a line is held against its SHA-256 (see
lakehouse/lineage/answer.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from lakehouse.adapters.raw_lines import HEAD_BYTES
from lakehouse.errors import NotFound
from lakehouse.lineage.answer import FoundLine, check_line
from lakehouse.lineage.findings import Finding, Ledger
from lakehouse.query.quoting import quote_text

if TYPE_CHECKING:
    import duckdb

    from lakehouse.storage.objects import ObjectReader, ObjectStore

_BATCH = 10_000
_Row = tuple[str, int, str, str, str]
_ROWS = "SELECT source_key, line, sha256, run_id, status FROM evidence_index"


def check_sample(
    store: ObjectStore, engine: duckdb.DuckDBPyConnection, ledger: Ledger, *, count: int, seed: str
) -> None:
    """Hold a sample of lines against their bytes.

    Args:
        store: The bucket.
        engine: Has the relation `evidence_index`.
        ledger: Takes findings.
        count: How many lines.
        seed: Another one takes other lines.
    """
    chosen = f"{_ROWS} ORDER BY hash(sha256 || {quote_text(seed)}), source_key, line LIMIT {count}"
    engine.execute(f"FROM ({chosen}) ORDER BY source_key, line")
    _hold_rows(store, engine, ledger)


def check_all(store: ObjectStore, engine: duckdb.DuckDBPyConnection, ledger: Ledger) -> None:
    """Hold every line of evidence against its bytes, reading each raw object once."""
    engine.execute(f"{_ROWS} ORDER BY source_key, line")
    _hold_rows(store, engine, ledger)


def _hold_rows(store: ObjectStore, engine: duckdb.DuckDBPyConnection, ledger: Ledger) -> None:
    """Rows in the order of their lines; one pass over an object costs less than a read for each of its lines."""
    for source_key, rows in groupby(_fetched(engine), key=itemgetter(0)):
        _hold_object(rows, _lines_of(store, source_key), ledger)


def _hold_object(rows: Iterator[_Row], lines: Iterator[FoundLine], ledger: Ledger) -> None:
    """Rows and lines of one object, both in order."""
    number, line = 0, None
    for row in rows:
        while number < row[1]:
            line = next(lines, None)
            number += 1
            if line is None:
                break
        _hold(row, line if number == row[1] else None, ledger)


def _hold(row: _Row, found: FoundLine | None, ledger: Ledger) -> None:
    source_key, line, sha256, run_id, status = row
    ledger.looked("lines")
    check = check_line(sha256, found)
    if check == "verified" or (check == "erased" and status == "retracted"):
        return
    what = {
        "gone": "is not there",
        "differs": f"has SHA-256 {found.sha256[:12] if found else ''}; evidence was made of {sha256[:12]}",
        "erased": f"was erased, but serves as {status}",
    }[check]
    remedy = f"Restore the object from a backup, or retract the run: `lakehouse retract {run_id}`"
    ledger.find(Finding("lines", f"{source_key}:{line}", f"of run {run_id} {what}", remedy))


def _fetched(engine: duckdb.DuckDBPyConnection) -> Iterator[_Row]:
    while rows := engine.fetchmany(_BATCH):
        yield from rows


def _lines_of(store: ObjectStore, key: str) -> Iterator[FoundLine]:
    """Every line of an object; none where it is not there."""
    try:
        with store.open(key) as reader:
            yield from _lines(reader)
    except NotFound:
        return


def _lines(reader: ObjectReader) -> Iterator[FoundLine]:
    """Every line of an object; of a long one never more than a chunk is held."""
    digest, head, is_begun = hashlib.sha256(), b"", False
    for chunk in reader.chunks():
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            digest.update(part)
            yield FoundLine(digest.hexdigest(), (head + part[:HEAD_BYTES])[:HEAD_BYTES])
            digest, head, is_begun = hashlib.sha256(), b"", False
        digest.update(rest)
        head, is_begun = (head + rest[:HEAD_BYTES])[:HEAD_BYTES], is_begun or bool(rest)
    if is_begun:
        yield FoundLine(digest.hexdigest(), head)
