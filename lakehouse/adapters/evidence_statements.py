"""A DuckDB that plans a statement once, and runs it over one block of lines after another.

Planning takes three times as long as three lines do, and most days of a backfill are as small as that.

Belongs here: the connection, the relation `lines`, plans. Not here: the statements (see evidence_sql.py), what becomes
of their rows (see evidence_blocks.py).
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.query.quoting import quote_text

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_BATCH_LINES = 8192
_ANSWER_ROWS = 2048
LARGER_BYTES = 1 << 30
_larger = threading.Lock()  # one larger engine at a time in the process


class LinesEngine:
    """An engine of one thread, so that rows keep the order of the lines; nobody else uses it meanwhile.

    Args:
        folder: Where it makes a folder of its own to spill to: the names of an engine's files are those of any other's.
        memory_bytes: How much it takes.

    Attributes:
        connection: For questions beside the statements.
    """

    def __init__(self, folder: Path, *, memory_bytes: int) -> None:
        self._folder = folder
        self._spilled = Path(tempfile.mkdtemp(prefix="spilled-", dir=folder))
        self.connection = _open(self._spilled, memory_bytes)
        self._lines = _Lines()
        self._schema: pa.Schema | None = None
        self._plans: dict[str, str] = {}

    def run(self, statement: str, lines: pa.Table) -> pa.Table:
        """The rows of a statement over the relation `lines`.

        Args:
            statement: See `evidence_statement`; its plan is kept.
            lines: Always of the same columns and types.

        Raises:
            TypeError: They are of others; a plan would read their bytes as what they are not.
            MemoryError: The engine has too little for so many; its next lines are read as ever.
        """
        import duckdb
        import pyarrow as pa

        self._schema = self._schema or lines.schema
        if not lines.schema.equals(self._schema):
            raise TypeError(f"lines are {lines.schema}, and the plans are for {self._schema}")
        batches = lines.combine_chunks().to_batches(max_chunksize=_BATCH_LINES)
        self._lines.table = pa.Table.from_batches(batches, lines.schema)
        try:
            # In small pieces: a buffer for a whole block would need fresh memory pages each time.
            return self.connection.execute(self._planned(statement)).to_arrow_reader(_ANSWER_ROWS).read_all()
        except duckdb.OutOfMemoryException as error:
            raise MemoryError(str(error)) from None
        except OSError as error:
            # What fails while an answer is read comes through Arrow, which has a type of its own for it.
            if str(error).startswith("Out of Memory Error"):
                raise MemoryError(str(error)) from None
            raise
        finally:
            self._lines.table = None

    @contextmanager
    def larger(self) -> Iterator[LinesEngine]:
        """Another one that has more memory, for lines one of which is too much for this; one at a time in a process."""
        with _larger:
            engine = LinesEngine(self._folder, memory_bytes=LARGER_BYTES)
            try:
                yield engine
            finally:
                engine.close()

    def close(self) -> None:
        """Close the engine."""
        self.connection.close()
        shutil.rmtree(self._spilled, ignore_errors=True)

    def _planned(self, statement: str) -> str:
        if statement not in self._plans:
            name = f"made_{len(self._plans)}"
            if not self._plans:
                self.connection.register("lines", self._lines)
            self.connection.execute(f"PREPARE {name} AS {statement}")
            self._plans[statement] = f"EXECUTE {name}"
        return self._plans[statement]


class _Lines:
    """What the name `lines` stands for: another table each time, as an Arrow stream."""

    table: pa.Table | None = None

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        assert self.table is not None
        return self.table.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        assert self.table is not None
        return self.table.schema.__arrow_c_schema__()


def _open(folder: Path, memory_bytes: int) -> duckdb.DuckDBPyConnection:
    import duckdb

    engine = duckdb.connect(
        config={
            "threads": 1,
            "memory_limit": f"{memory_bytes}B",
            "temp_directory": str(folder),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
        }
    )
    engine.execute("LOAD json")
    engine.execute(f"SET allowed_directories = [{quote_text(f'{folder}/')}]")
    engine.execute("SET enable_external_access = false")
    return engine
