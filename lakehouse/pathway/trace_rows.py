"""Traces as rows of an index: their words, their vector, and the metadata that searches filter by.

Belongs here: the row, its Arrow form. Not here: the index (see lakehouse/adapters/trace_index.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from lakehouse.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

State = Literal["current", "revised", "retired"]


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One trace for the index; `vector` (dimension,) has unit length."""

    uid: str
    text: str
    tags: tuple[str, ...]
    state: State
    updated_at: datetime
    vector: NDArray[np.float32]

    @property
    def metadata(self) -> bytes:
        """What filters see; moments as texts that sort by time."""
        return orjson.dumps({"tags": self.tags, "state": self.state, "updated_at": sortable(self.updated_at)})


def sortable(moment: datetime) -> str:
    """A moment as a text that sorts by time.

    Raises:
        BadInput: In UTC it lies outside the years 1 to 9999.
    """
    try:
        return moment.astimezone(UTC).isoformat(timespec="microseconds")
    except OverflowError:
        raise BadInput(f"{moment.isoformat()} is outside the years 1 to 9999 in UTC", field="since") from None


def index_batch(rows: Sequence[TraceRow]) -> pa.RecordBatch:
    """Rows for a corpus index (lakehouse/tables/corpus.py); every one has its vector."""
    import pyarrow as pa

    from lakehouse.tables.corpus import corpus_schema

    vectors = np.stack([row.vector for row in rows])
    uids = [row.uid for row in rows]
    columns = [
        pa.array(uids),
        pa.array(uids),
        pa.array([row.text for row in rows]),
        pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1]),
        pa.array([row.metadata.decode() for row in rows]),
        pa.nulls(len(rows), pa.string()),
    ]
    return pa.record_batch(columns, schema=corpus_schema(vectors.shape[1]))
