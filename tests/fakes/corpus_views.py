"""A `CorpusView` over a hot index in memory: what the search sees of a corpus, without a table behind it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakehouse.adapters.corpus_reader import CorpusReader
from lakehouse.adapters.hot_index import HotIndex
from lakehouse.retrieval.relevance import RelevanceModel
from lakehouse.tables.corpus import corpus_schema


def corpus_of(
    name: str,
    ids: Sequence[str],
    texts: Sequence[str],
    vectors: NDArray[np.float32],
    *,
    embedder: str = "fake",
    distance: str = "cosine",
    calibration: RelevanceModel | None = None,
) -> CorpusReader:
    """A corpus of rows without metadata."""
    dimension = vectors.shape[1]
    index = HotIndex(dimension=dimension, distance=distance)  # type: ignore[arg-type]
    columns = [
        pa.array(ids),
        pa.array(ids),
        pa.array(texts),
        pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1)), dimension),
        pa.array(["{}"] * len(ids)),
        pa.nulls(len(ids), pa.string()),
    ]
    index.upsert(pa.record_batch(columns, schema=corpus_schema(dimension)))
    info = {"embedder": embedder, "dimension": dimension, "distance": distance}
    return CorpusReader(name, info, index, "1", calibration=calibration)
