"""What can still be read of an index whose files are damaged, put into new files.

An index has no source but its rows, so rows in a damaged file are lost; they are counted and reported.

Belongs here: reading file by file, replacing. Not here: memory tables, which have their log (see folded_salvage.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakehouse.adapters.lance_engine import BrokenFiles
from lakehouse.adapters.lance_table import LanceTable

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True)
class SalvageReport:
    """Rows that were kept, files that could not be read, and the rows that had been in them."""

    rows: int = 0
    unreadable: int = 0
    lost_rows: int = 0


def salvage_index(table: LanceTable) -> SalvageReport:
    """Replace a table's files by new ones with all rows that can be read.

    Raises:
        BrokenFiles: Not even the list of files can be read.
        Conflict: The table was written to meanwhile; nothing changed.
        StoreUnavailable: The store does not answer; nothing changed.
    """
    report = SalvageReport()
    table.replace(_readable(table, report))
    return report


def _readable(table: LanceTable, report: SalvageReport) -> Iterator[pa.RecordBatch]:
    files, version = table.files, table.version
    for number, rows in files.fragments(version).items():
        try:
            batches = list(files.scan_fragments(version, {number}))
        except BrokenFiles:
            report.unreadable += 1
            report.lost_rows += rows
            continue
        report.rows += sum(len(batch) for batch in batches)
        yield from batches
