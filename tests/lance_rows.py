"""Rows of a corpus for tests: ids with vectors that are told by their number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from lakehouse.adapters.lance_table import LanceTable
from lakehouse.tables.corpus import corpus_schema

DIMENSION = 4


def vectors(seeds: Sequence[int], dimension: int = DIMENSION) -> pa.Array:
    """One vector of unit length for each seed."""
    rows = np.stack([np.random.default_rng(seed).standard_normal(dimension) for seed in seeds]).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel(), pa.float32()), dimension)


def corpus_rows(
    ids: Sequence[str], *, text: str = "text", op_id: str = "op", content_hash: str | None = None
) -> pa.Table:
    """Rows of a corpus, as one that HTTP adds."""
    count = len(ids)
    columns = [
        pa.array(ids, pa.string()),
        pa.array([op_id] * count, pa.string()),
        pa.array([f"{text} {i}" for i in ids], pa.string()),
        vectors(range(count)) if count else pa.array([], pa.list_(pa.float32(), DIMENSION)),
        pa.array(["{}"] * count, pa.string()),
        pa.array([content_hash] * count, pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=corpus_schema(DIMENSION))


def ids_of(table: LanceTable) -> list[str]:
    """Every id that serves, sorted, with its duplicates."""
    return sorted(i for batch in table.scan(["id"]) for i in batch.column("id").to_pylist())
