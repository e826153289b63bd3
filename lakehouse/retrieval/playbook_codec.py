"""Playbook entries as the log and the index keep them: vectors as text, keys, rows.

Belongs here: stored shapes. Not here: what entries mean (see playbook.py).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

Key = tuple[str, str, str | None]


def encode_vector(vector: NDArray[np.float32]) -> str:
    """An embedding as the log keeps it: float16 little-endian, as base64."""
    return base64.b64encode(vector.astype("<f2").tobytes()).decode()


def decode_vector(text: str) -> NDArray[np.float32]:
    """An embedding from the log, of unit length again."""
    vector = np.frombuffer(base64.b64decode(text), dtype="<f2").astype(np.float32)
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), dtype=np.float32)


def key_of(query: str, answer_id: str, answer_corpus: str | None) -> Key:
    """The key of an entry: equal keys, equal entries."""
    return " ".join(query.casefold().split()), answer_id, answer_corpus


def index_rows(payloads: Iterable[Mapping[str, Any]], vectors: NDArray[np.float32]) -> pa.RecordBatch:
    """Recorded entries as rows of an index.

    Args:
        payloads: (n,) of `record` operations.
        vectors: (n, dimension) embeddings of their queries.
    """
    import pyarrow as pa

    from lakehouse.tables.corpus import corpus_schema

    rows = list(payloads)
    ids = [str(p["playbook_id"]) for p in rows]
    columns = [
        pa.array(ids),
        pa.array(ids),
        pa.array([str(p["query"]) for p in rows]),
        pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1]),
        pa.array(["{}"] * len(rows)),
        pa.nulls(len(rows), pa.string()),
    ]
    return pa.record_batch(columns, schema=corpus_schema(vectors.shape[1]))
