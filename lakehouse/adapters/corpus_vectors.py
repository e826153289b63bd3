"""Vectors of a build's rows: reused where the same id had the same text before, embedded otherwise.

Belongs here: the choice. Not here: which rows need any (see lakehouse/retrieval/build_plan.py), embedders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.lance_search import matrix_of
from lakehouse.retrieval.build_plan import KnownRows
from lakehouse.retrieval.corpus_rows import MadeRows
from lakehouse.retrieval.embedding import Embedder, Vectors

if TYPE_CHECKING:
    import pyarrow as pa

EMBED_ROWS = 1024
CHARACTERS_PER_TOKEN = 4
Take = Callable[[NDArray[np.int64], Sequence[str]], "pa.Table"]


@dataclass(frozen=True, slots=True)
class StoredRows:
    """Rows of one version of a table: which there are, and how to take some by position."""

    known: KnownRows
    take: Take


def read_stored(scan: Iterator[pa.RecordBatch], take: Take, known: KnownRows) -> StoredRows:
    """Read what rows a version has; `scan` gives ids and content hashes."""
    for batch in scan:
        known.add(batch.column("id").to_pylist(), batch.column("content_hash").to_pylist())
    known.settle()
    return StoredRows(known, take)


class VectorSource:
    """Gives vectors for rows.

    Args:
        embedder: For those that nothing else has.
        stored: Where vectors of the same embedder lie already; the first that has a row's text is taken.
        on_embedded: Called with the number of rows after each call of the embedder.
    """

    def __init__(self, embedder: Embedder, stored: Sequence[StoredRows], *, on_embedded: Callable[[int], None]) -> None:
        self._embedder = embedder
        self._stored = stored
        self._on_embedded = on_embedded
        self.reused = 0

    def in_calls(self, rows: MadeRows) -> Iterator[tuple[MadeRows, Vectors]]:
        """Rows with their vectors, a call of the embedder at a time: a slow one's are written before it is through."""
        for start in range(0, len(rows.ids), EMBED_ROWS):
            some = rows.pick(range(start, min(start + EMBED_ROWS, len(rows.ids))))
            yield some, self.vectors(some)

    def vectors(self, rows: MadeRows) -> Vectors:
        """Shape (rows, dimension)."""
        vectors = np.empty((len(rows.ids), self._embedder.dimension), dtype=np.float32)
        missing = np.arange(len(rows.ids))
        for stored in self._stored:
            if len(missing) and len(stored.known):
                missing = self._take_over(stored, rows, missing, vectors)
        for start in range(0, len(missing), EMBED_ROWS):
            some = missing[start : start + EMBED_ROWS]
            vectors[some] = self._embedder.embed([rows.texts[i] for i in some])
            self._on_embedded(len(some))
        return vectors

    def _take_over(
        self, stored: StoredRows, rows: MadeRows, missing: NDArray[np.int64], vectors: Vectors
    ) -> NDArray[np.int64]:
        positions = stored.known.same_text(rows.pick(missing))
        found = np.flatnonzero(positions >= 0)
        if len(found):
            order = found[np.argsort(positions[found])]  # in file order, so that they are read in few pieces
            vectors[missing[order]] = matrix_of(stored.take(positions[order], ["vector"]).column("vector"))
            self.reused += len(found)
        return missing[positions < 0]


def carried_over(batch: pa.RecordBatch, embedder: Embedder, before: str) -> pa.Table:
    """Rows that no build made, for a rebuilt table: embedded again when the embedder is another than `before`.

    In that case rows without a text are left out, as there is nothing to embed.
    """
    import pyarrow as pa

    rows = pa.Table.from_batches([batch])
    if embedder.name == before:
        return rows
    rows = rows.filter(rows.column("text").is_valid())
    vectors = embedder.embed(rows.column("text").to_pylist())
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), embedder.dimension)
    return rows.set_column(rows.schema.get_field_index("vector"), "vector", column)


def token_lengths(embedder: Embedder) -> Callable[[Sequence[str]], Sequence[int]]:
    """Lengths of words in an embedder's tokens; of one that cannot count, about one for every four characters."""
    count: Any = getattr(embedder, "count_tokens", None)
    known: dict[str, int] = {}

    def lengths(words: Sequence[str]) -> Sequence[int]:
        for word in words:
            if word not in known:
                if len(known) > 1 << 17:
                    known.clear()
                known[word] = count([word]) if count else -(-len(word) // CHARACTERS_PER_TOKEN)
        return [known.get(word, 1) for word in words]

    return lengths
