"""Evidence as Parquet: written beside the engine's work, the same bytes for the same rows.

Belongs here: the form of the file, its thread, copying some of its rows. Not here: the rows (see evidence_engine.py).
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from lakehouse.tables.evidence import evidence_schema

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa
    import pyarrow.parquet as pq

_ROW_GROUP = 20_480
_PENDING = 1
# Columns with few different values get dictionaries. In all others most values are unique, and looking for repetitions
# costs time.
_REPEATED = [
    "stream", "provenance.source_key", "model_name", "model_provider", "model_role", "observer.verdict",
    "success_markers.list.element", "failure_markers.list.element", "validation.errors.list.element",
    "retrieved_context.corpora.list.element",
]  # fmt: skip
_PRUNED_BY = ["run_id", "task_id", "timestamp", "stream", "model_name", "reward"]


class EvidenceWriter:
    """Writes tables one after another, all but the last one on a thread; a fault of it is raised by a later call."""

    def __init__(self, path: Path) -> None:
        self._file = _open(path)
        self._thread = ThreadPoolExecutor(1)
        self._pending: deque[Future[None]] = deque()
        self._last: pa.Table | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            while self._pending and error is None:
                self._pending.popleft().result()
            if self._last is not None and error is None:
                self._file.write_table(self._last, row_group_size=_ROW_GROUP)
        finally:
            self._thread.shutdown()
            self._file.close()

    def write(self, table: pa.Table) -> None:
        """Write rows; returns at once unless the last ones are still being written."""
        if not table.num_rows:
            return
        while len(self._pending) >= _PENDING:
            self._pending.popleft().result()
        if self._last is not None:
            self._pending.append(self._thread.submit(self._file.write_table, self._last, row_group_size=_ROW_GROUP))
        self._last = table


def copy_rows(source: Path, target: Path, is_kept: npt.NDArray[np.bool_]) -> None:
    """Write those rows of an evidence file that are kept, a row group at a time.

    Args:
        source: The file.
        target: Another one, made here.
        is_kept: One for each row.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    begin = 0
    with pq.ParquetFile(source) as file, _open(target) as writer:
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            kept = is_kept[begin : begin + count]
            begin += count
            if kept.any():
                writer.write_table(file.read_row_group(group).filter(pa.array(kept)), row_group_size=_ROW_GROUP)


def _open(path: Path) -> pq.ParquetWriter:
    import pyarrow.parquet as pq

    return pq.ParquetWriter(
        path,
        evidence_schema(),
        compression="zstd",
        compression_level=1,
        use_dictionary=_REPEATED,
        write_statistics=_PRUNED_BY,
    )
