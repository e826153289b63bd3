"""Rows for hot indexes in tests, and the exact answer to compare with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from lakehouse.tables.corpus import corpus_schema

OP_ID = "01890000-0000-7000-8000-000000000000"


def batch_of(
    vectors: NDArray[np.float32],
    ids: Sequence[str] | None = None,
    *,
    texts: Sequence[str | None] | None = None,
    metadata: Sequence[Mapping[str, Any]] | None = None,
) -> pa.Table:
    """Rows of a corpus; ids count from `r0` when none are given."""
    count, dimension = vectors.shape
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel(), pa.float32())
    columns = {
        "id": list(ids) if ids is not None else [f"r{i}" for i in range(count)],
        "op_id": [OP_ID] * count,
        "text": list(texts) if texts is not None else [None] * count,
        "vector": pa.FixedSizeListArray.from_arrays(flat, dimension),
        "metadata": [orjson.dumps(m).decode() for m in (metadata or [{}] * count)],
        "content_hash": [None] * count,
    }
    return pa.table(columns, schema=corpus_schema(dimension))


def exact_distances(vectors: NDArray[Any], query: NDArray[Any], distance: str) -> NDArray[np.float64]:
    """In double precision, by the definitions."""
    a, q = np.asarray(vectors, np.float64), np.asarray(query, np.float64)
    found: NDArray[np.float64]
    if distance == "l2":
        found = ((a - q) ** 2).sum(axis=1)
    elif distance == "dot":
        found = -(a @ q)
    else:
        found = 1 - (a @ q) / np.linalg.norm(a, axis=1) / np.linalg.norm(q)
    return found


def clustered(count: int, dimension: int, seed: int = 1, *, clusters: int = 50, spread: float = 0.5) -> NDArray[Any]:
    """Vectors in clusters, as embeddings of texts lie."""
    draw = np.random.default_rng(seed)
    centres = draw.standard_normal((clusters, dimension))
    noise = draw.standard_normal((count, dimension)) * spread
    return (centres[draw.integers(0, clusters, count)] + noise).astype(np.float32)
