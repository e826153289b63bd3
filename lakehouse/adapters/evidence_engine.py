"""Evidence of one partition: raw JSON lines in, a Parquet file and a quarantine file out, the same bytes every time.

Blocks of lines go through one DuckDB statement each while the next block is read and the last one written. Rows stand
in the order of their lines (by key of the raw object, then by line).

Belongs here: running a transform over files, memory, the accounts. Not here: its rules (see lakehouse/evidence), one
block (see evidence_blocks.py), which files belong to a partition.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from queue import Empty, LifoQueue
from typing import TYPE_CHECKING

import numpy as np

from lakehouse.adapters.evidence_blocks import MadeBlock, make_block
from lakehouse.adapters.evidence_copies import CORRECTED, DUPLICATE, SERVES, judge_copies
from lakehouse.adapters.evidence_lines import LineBlock, RawFile, read_blocks
from lakehouse.adapters.evidence_quarantine import LineQuarantine
from lakehouse.adapters.evidence_sql import evidence_statement
from lakehouse.adapters.evidence_statements import LinesEngine
from lakehouse.adapters.evidence_writer import EvidenceWriter, copy_rows
from lakehouse.adapters.spare_memory import give_back
from lakehouse.evidence.transform import Transform

if TYPE_CHECKING:
    import numpy.typing as npt

BLOCK_BYTES = 24 << 20
_MEMORY_BYTES = 512 << 20
# Memory that one thread frees is not reused by the others, so it is given back to the system after so many blocks;
# otherwise the peak of two million lines is 13 % higher.
_BLOCKS_HELD = 12


@dataclass(frozen=True, slots=True)
class Counts:
    """The accounts of a partition: every line is exactly one of these; `left_out` are those of loads."""

    lines_in: int
    new: int
    corrected: int
    duplicate: int
    quarantined: int
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Materialized:
    """What became of a partition.

    Attributes:
        evidence: The records that serve, in Parquet; it is there even when it has no row.
        superseded: Records that a later line of the same run corrected, in Parquet, or None.
        quarantine: Lines that did not fit, as JSON lines, or None.
        counts: The accounts; `new` is the number of records.
    """

    evidence: Path
    superseded: Path | None
    quarantine: Path | None
    counts: Counts


class EvidenceEngine:
    """Makes evidence; holds DuckDBs of bounded memory, for one partition after another.

    Each thread works on its own block with its own engine. Threads that share a query would lose the order of the rows
    and gain no speed in Arrow's output, and a shared engine would keep a block for as long as any older query runs.

    Args:
        folder: Where DuckDB spills to.
        threads: How many blocks are worked on at once.
        memory_bytes: How much DuckDB takes; blocks and the writer come on top, about as much again.
        block_bytes: Size of a block; the bytes of row groups depend on it.
    """

    def __init__(
        self, folder: Path, *, threads: int = 2, memory_bytes: int = _MEMORY_BYTES, block_bytes: int = BLOCK_BYTES
    ) -> None:
        self._block_bytes = block_bytes
        self._threads = threads
        self._folder = folder
        self._engine_bytes = memory_bytes // threads
        # The engine used last comes first: it has its plans cached, and days of one block never open another.
        self._idle: LifoQueue[LinesEngine] = LifoQueue()

    def close(self) -> None:
        """Close the engines."""
        while not self._idle.empty():
            self._idle.get().close()

    @contextmanager
    def _engine(self) -> Iterator[LinesEngine]:
        try:
            engine = self._idle.get_nowait()
        except Empty:
            engine = LinesEngine(self._folder, memory_bytes=self._engine_bytes)
        try:
            yield engine
        finally:
            self._idle.put(engine)

    def materialize(self, transform: Transform, files: Sequence[RawFile], target: Path) -> Materialized:
        """Make the evidence of one partition.

        Args:
            transform: That of the files' stream.
            files: Raw objects, in any order.
            target: Folder for `evidence.parquet`, `superseded.parquet` and `quarantine.jsonl`.

        Returns:
            The files and the accounts; `evidence` conforms to `evidence_schema`.

        Raises:
            BadInput: Two files have one key.
        """
        staged = target / "evidence.parquet"
        hashes: list[npt.NDArray[np.uint64]] = []
        lines_in = left_out = 0
        with LineQuarantine(target / "quarantine.jsonl") as quarantine, EvidenceWriter(staged) as writer:
            for made in self._made(transform, read_blocks(files, block_bytes=self._block_bytes)):
                lines_in += made.line_count
                left_out += made.left_out
                hashes.append(made.key_hashes)
                for refused in made.refused:
                    quarantine.take(refused)
                writer.write(made.records)
                if len(hashes) % _BLOCKS_HELD == 0:
                    give_back()
        with self._engine() as engine:
            kinds = judge_copies(engine.connection, staged, hashes)
        corrected = duplicate = 0
        if kinds is not None:
            corrected, duplicate = int((kinds == CORRECTED).sum()), int((kinds == DUPLICATE).sum())
            whole = staged.rename(target / "with-copies.parquet")
            copy_rows(whole, staged, kinds == SERVES)
            if corrected:
                copy_rows(whole, target / "superseded.parquet", kinds == CORRECTED)
            whole.unlink()
        new = lines_in - corrected - duplicate - quarantine.count - left_out
        return Materialized(
            evidence=staged,
            superseded=target / "superseded.parquet" if corrected else None,
            quarantine=quarantine.path,
            counts=Counts(lines_in, new, corrected, duplicate, quarantine.count, left_out),
        )

    def _made(self, transform: Transform, blocks: Iterator[LineBlock]) -> Iterator[MadeBlock]:
        """Blocks made evidence, in order; so many at once as there are threads, the next one being read."""
        statement = evidence_statement(transform)
        first = list(islice(blocks, 2))
        if len(first) < 2:
            # Most days are one block, which takes less time than starting threads.
            yield from (self._make(statement, block) for block in first)
            return
        blocks = chain(first, blocks)
        with ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(self._threads) as making:
            pending: deque[Future[MadeBlock]] = deque()
            coming: Future[LineBlock | None] = reading.submit(next, blocks, None)
            while (block := coming.result()) is not None:
                coming = reading.submit(next, blocks, None)
                pending.append(making.submit(self._make, statement, block))
                if len(pending) >= self._threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def _make(self, statement: str, block: LineBlock) -> MadeBlock:
        with self._engine() as engine:
            return make_block(engine, statement, block)
