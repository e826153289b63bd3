"""Conversion as ingest sees it: the request, the result, the Protocol an engine implements.

Belongs here: values that cross the border to the engine. Not here: the engine (see lakehouse/adapters/conversion.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lakehouse.catalog.manifest import Column
from lakehouse.ingest.options import IngestOptions


@dataclass(frozen=True, slots=True)
class ConversionRequest:
    """A local file to make Parquet of.

    Args:
        source: The file as it came.
        work_dir: An empty folder for everything that is written; the caller removes it.
        options: How to read.
        registered: Columns of the dataset; the file is then read with these names and types, in this order.
        types: Types that columns must have, beside those of `options`.
    """

    source: Path
    work_dir: Path
    options: IngestOptions
    registered: tuple[Column, ...] | None = None
    types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion made: one Parquet file, and the refused records as JSON lines (None when there are none).

    `undecided` names columns without a single value whose type nobody asked for: they are text, and widen nothing.
    """

    columns: tuple[Column, ...]
    parquet: Path
    row_count: int
    quarantined: int = 0
    quarantine: Path | None = None
    undecided: frozenset[str] = frozenset()


class Converter(Protocol):
    """Makes Parquet of CSV, JSON lines, JSON and Parquet."""

    def convert(self, request: ConversionRequest) -> Converted:
        """Convert one file.

        Raises:
            Unprocessable: The file is wrong at a record and line that the error names.
            Conflict: It does not fit the registered columns; the error carries the difference.
            BadInput: An option does not fit the file.
            TimedOut: It took longer than allowed.
            InsufficientStorage: It needed more memory or disk than allowed.
            Unavailable: The engine died.
        """
        ...
