"""Scores as Parquet, a file for each day: the same bytes for the same rows.

Belongs here: the files and their form. Not here: the rows (see scoring_engine.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lakehouse.tables.scored import scored_schema

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

NAME = "scored.parquet"
_ROW_GROUP = 20_480
# Columns with few different values get dictionaries; in the others most values are unique.
_REPEATED = [
    "score", "reasons.list.element", "rules_version", "dt", "stream", "model_name", "model_provider", "rule",
    "kind_of_ground",
]  # fmt: skip


class ScoredWriter:
    """Writes rows that come in the order of their days into the files of those days.

    Args:
        folder: Files are `dt=YYYY-MM-DD/scored.parquet` in it.
        days: Days that have a file even where no row comes.
    """

    def __init__(self, folder: Path, days: Iterable[date]) -> None:
        self._folder = folder
        self._file: pq.ParquetWriter | None = None
        self._day: date | None = None
        self._held: list[pa.Table] = []
        self._held_rows = 0
        self.files: dict[date, Path] = {}
        for day in sorted(set(days)):
            self._open(day)
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._flush(whole_only=False)
        self._close()

    def write(self, day: date, rows: pa.Table) -> None:
        """Write rows of one day, which is that of the rows before or a later one."""
        if day != self._day:
            self._flush(whole_only=False)
            self._close()
            self._open(day)
        self._held.append(rows)
        self._held_rows += rows.num_rows
        if self._held_rows >= _ROW_GROUP:
            self._flush(whole_only=True)

    def _flush(self, *, whole_only: bool) -> None:
        """Row groups hold the same rows however the rows came."""
        import pyarrow as pa

        if self._file is None or not self._held_rows:
            return
        held = pa.concat_tables(self._held)
        count = held.num_rows - (held.num_rows % _ROW_GROUP if whole_only else 0)
        for begin in range(0, count, _ROW_GROUP):
            part = held.slice(begin, min(_ROW_GROUP, count - begin)).combine_chunks()
            self._file.write_table(part, row_group_size=_ROW_GROUP)
        self._held = [held.slice(count)]
        self._held_rows = held.num_rows - count

    def _open(self, day: date) -> None:
        import pyarrow.parquet as pq

        self._close()
        path = self._folder / f"dt={day.isoformat()}" / NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        self._day, self.files[day] = day, path
        self._file = pq.ParquetWriter(
            path, scored_schema(), compression="zstd", compression_level=1, use_dictionary=_REPEATED
        )

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._day, self._held, self._held_rows = None, None, [], 0
