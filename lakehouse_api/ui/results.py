"""Answers of the SQL workbench on disk, so that pages of them cost what they show and not what they are.

An answer streams into an Arrow file once; pages and charts read the batches that they need.

Belongs here: keeping, reading a page, forgetting. Not here: asking (see sql_page.py).
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from lakehouse.clock import new_id
from lakehouse.errors import InsufficientStorage, NotFound
from lakehouse_api.ui.formats import CELL_CHARACTERS

if TYPE_CHECKING:
    import pyarrow as pa

_KEPT = 24
_MOST_BYTES = 256 << 20
_ALL_BYTES = 1 << 30


@dataclass(slots=True)
class Result:
    """An answer that is kept.

    Attributes:
        rows: How many are here.
        is_cut: There were more than are kept.
    """

    id: str
    owner: str
    sql: str
    path: Path
    columns: list[tuple[str, str]] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0
    is_cut: bool = False
    elapsed_ms: float = 0.0
    batches: list[int] = field(default_factory=list)


class Results:
    """The answers of this process; the oldest goes when there are too many."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._results: dict[str, Result] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take the folder away in the end, and what a process that was killed has left in it now."""
        await anyio.to_thread.run_sync(lambda: shutil.rmtree(self._folder, ignore_errors=True))
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(self._folder, ignore_errors=True))

    async def keep(self, chunks: AsyncIterator[bytes], *, sql: str, owner: str, most_rows: int) -> Result:
        """Write an Arrow stream down.

        Args:
            chunks: Of an Arrow IPC stream, of `most_rows` + 1 rows at the most.
            sql: What was asked.
            owner: Who may see it.
            most_rows: Rows that are shown; one more says that there are more.

        Raises:
            InsufficientStorage: The answer is larger than a workbench keeps.
        """
        result = Result(new_id(), owner, sql, self._folder / f"{new_id()}.arrows")
        written = 0
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            async with await anyio.open_file(result.path, "wb") as file:
                async for chunk in chunks:
                    written += len(chunk)
                    if written > _MOST_BYTES:
                        raise InsufficientStorage(
                            f"the answer is larger than the {_MOST_BYTES >> 20} MiB that a page looks through;"
                            " choose fewer columns or rows, or download it"
                        )
                    await file.write(chunk)
            await anyio.to_thread.run_sync(_measure, result, most_rows)
        except BaseException:
            result.path.unlink(missing_ok=True)
            raise
        result.bytes = written
        self._results[result.id] = result
        while len(self._results) > _KEPT or sum(one.bytes for one in self._results.values()) > _ALL_BYTES:
            self._results.pop(next(iter(self._results))).path.unlink(missing_ok=True)
        return result

    def get(self, result_id: str, *, owner: str) -> Result:
        """An answer by its id.

        Raises:
            NotFound: It is not here, or somebody else's.
        """
        result = self._results.get(result_id)
        if result is None or result.owner != owner:
            raise NotFound("this answer is not kept any longer; run the query again")
        return result


def read_rows(result: Result, *, start: int, count: int) -> list[tuple[Any, ...]]:
    """Some rows of an answer, as Python values; no others are read into memory, and of long texts their beginnings."""
    rows: list[tuple[Any, ...]] = []
    place = 0
    end = min(start + count, result.rows)
    for number, length in enumerate(result.batches):
        if place + length > start and place < end:
            batch = _batch(result, number)
            part = batch.slice(max(0, start - place), min(length, end - place) - max(0, start - place))
            columns = [_shortened(column).to_pylist() for column in part.columns]
            rows += list(zip(*columns, strict=True)) if columns else []
        place += length
    return rows


def read_cell(result: Result, *, row: int, column: int) -> Any:
    """One value, whole."""
    if not 0 <= row < result.rows or not 0 <= column < len(result.columns):
        raise NotFound(f"the answer has no cell in row {row}, column {column}")
    place = 0
    for number, length in enumerate(result.batches):
        if row < place + length:
            return _batch(result, number).column(column)[row - place].as_py()
        place += length
    raise NotFound(f"the answer has no row {row}")


def _shortened(column: pa.Array) -> pa.Array:
    """A column with its texts cut where a page cuts them: a thousand cells of a megabyte are a gigabyte."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return pc.utf8_slice_codeunits(column, 0, CELL_CHARACTERS + 1)
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return pc.binary_slice(column, 0, CELL_CHARACTERS)
    return column


def _measure(result: Result, most_rows: int) -> None:
    import pyarrow as pa

    with pa.memory_map(str(result.path)) as source, pa.ipc.open_stream(source) as reader:
        result.columns = [
            (name, str(kind)) for name, kind in zip(reader.schema.names, reader.schema.types, strict=True)
        ]
        result.batches = [batch.num_rows for batch in reader]
    found = sum(result.batches)
    result.rows, result.is_cut = min(found, most_rows), found > most_rows


def _batch(result: Result, number: int) -> pa.RecordBatch:
    import pyarrow as pa

    with pa.memory_map(str(result.path)) as source, pa.ipc.open_stream(source) as reader:
        batches: Iterator[pa.RecordBatch] = iter(reader)
        for _ in range(number):
            next(batches)
        return next(batches)
