"""Files of a corpus as they grow: JSON lines, and Parquet of fixed row groups; the same bytes for the same rows.

Belongs here: the two kinds of file, their digests. Not here: which rows go where (see distill_writer.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from lakehouse.distillation.manifest import BuildFile
from lakehouse.storage.publish import hash_file

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 1024


class JsonLines:
    """A file of JSON lines."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb")
        self.rows = 0

    def add(self, row: Any) -> int:
        """Write a row; gives its number, from 0."""
        self.add_line(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        return self.rows - 1

    def add_line(self, line: bytes) -> None:
        """Write a line that has its line feed."""
        self._file.write(line)
        self.rows += 1

    def close(self) -> None:
        self._file.close()


class ParquetRows:
    """A Parquet file; holds one row group."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        path.parent.mkdir(parents=True, exist_ok=True)
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd", compression_level=3)
        self._held: list[dict[str, Any]] = []
        self.rows = 0

    def add(self, row: dict[str, Any]) -> int:
        """Write a row; gives its number, from 0."""
        self._held.append(row)
        self.rows += 1
        if len(self._held) == ROW_GROUP:
            self._flush()
        return self.rows - 1

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._held:
            self._writer.write_table(pa.Table.from_pylist(self._held, schema=self._schema), row_group_size=ROW_GROUP)
            self._held = []


def described_file(folder: Path, name: str, rows: int | None) -> BuildFile:
    """A file of a build as its manifest names it."""
    path = folder / name
    return BuildFile(name, hash_file(path), path.stat().st_size, rows)
