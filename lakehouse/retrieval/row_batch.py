"""Rows on their way into an index: read out of Arrow and checked before anything changes.

Belongs here: ids, vectors, texts and metadata of a batch, what is refused. Not here: storing them (see
lakehouse/adapters/hot_rows.py), items of a request (see vector_items.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakehouse.counted import counted
from lakehouse.errors import BadInput
from lakehouse.retrieval.metadata_columns import read_metadata

Distance = Literal["cosine", "l2", "dot"]
DISTANCES: tuple[Distance, ...] = ("cosine", "l2", "dot")
# The range of squared lengths that single precision represents well.
_PLAIN = (1e-20, 1e20)
# Documents parsed at a time, as they take many times the memory of their JSON.
_SLICE_ROWS = 4_096


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows to append: ids that differ, vectors (n, dimension) as they are compared, texts and metadata beside them."""

    ids: list[str]
    vectors: NDArray[np.float32]
    texts: pa.Array
    metadata: pa.Array

    def documents(self) -> Iterator[tuple[pa.Array, list[dict[str, Any]]]]:
        """The metadata in slices: its JSON, and the same read."""
        for start in range(0, len(self.ids), _SLICE_ROWS):
            part = self.metadata[start : start + _SLICE_ROWS]
            yield part, read_metadata(part.to_pylist(), ids=self.ids[start : start + _SLICE_ROWS])


def read_batch(batch: pa.RecordBatch | pa.Table, *, dimension: int, distance: Distance) -> RowBatch:
    """Read and check rows of a corpus.

    Args:
        batch: Columns `id`, `vector`, and if they are there `text` and `metadata` (see lakehouse/tables/corpus.py).
        dimension: Length of the vectors.
        distance: For `cosine` the vectors come back with length 1.

    Returns:
        One row an id, the last where one id comes twice.

    Raises:
        BadInput: Names the item by id and position: another dimension, a value that is not finite, a zero vector under
            `cosine`, an id that is missing, metadata that is no JSON object.
    """
    table = pa.table(batch) if isinstance(batch, pa.RecordBatch) else batch
    ids = cast("list[str]", table.column("id").to_pylist())
    if None in ids:
        raise BadInput(f"the item at position {ids.index(cast('str', None))} has no id")
    vectors = _vectors(table.column("vector").combine_chunks(), ids, dimension)
    vectors = check_vectors(vectors, distance=distance, ids=ids)
    count = len(ids)
    texts = _column(table, "text", pa.nulls(count, pa.large_string()))
    metadata = _column(table, "metadata", pa.array(["{}"] * count, pa.large_string()))
    last = dict(zip(ids, range(count), strict=True))
    if len(last) < count:
        keep = np.array(sorted(last.values()))
        ids, vectors = [ids[i] for i in keep], vectors[keep]
        texts, metadata = texts.take(pa.array(keep)), metadata.take(pa.array(keep))
    rows = RowBatch(ids, vectors, texts, metadata)
    for _ in rows.documents():
        pass
    return rows


def check_vectors(
    vectors: NDArray[np.float32], *, distance: Distance, ids: Sequence[str] | None = None
) -> NDArray[np.float32]:
    """Refuse what cannot be compared, and give the rest the length at which it is.

    Args:
        vectors: (n, dimension).
        distance: `cosine` takes directions alone, and gives them length 1.
        ids: Of the rows, for the message; None for a query.

    Raises:
        BadInput: NaN or an infinity, a zero vector under `cosine`.
    """
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    if not np.isfinite(squares).all():
        at = int(np.flatnonzero(~np.isfinite(squares))[0])
        places = np.flatnonzero(~np.isfinite(vectors[at]))
        where = f"at {int(places[0])}" if len(places) else "beyond what can be compared"
        raise BadInput(f"{_named(at, ids)} has a value that is not a finite number ({where})")
    if distance != "cosine":
        return np.ascontiguousarray(vectors)
    if not squares.all():
        at = int(np.flatnonzero(squares == 0)[0])
        raise BadInput(f"{_named(at, ids)} is zero, which has no direction; use the distance 'l2' for such vectors")
    directions = np.empty(vectors.shape, np.float32)
    # In doubles, piece by piece, as a length may be outside of the precise range of float32.
    np.divide(vectors, np.sqrt(squares)[:, None], out=directions, casting="same_kind")
    return directions


def read_query(vector: object, *, dimension: int, distance: Distance) -> NDArray[np.float32]:
    """The vector of a query as it is compared, of shape (dimension,).

    Raises:
        BadInput: Another dimension, a value that is no finite number, zero under `cosine`.
    """
    query = _as_floats(vector)
    if query.shape != (dimension,):
        got = f"{query.shape[0]} values" if query.ndim == 1 else f"shape {query.shape}"
        raise BadInput(f"the query's vector has {got}, this index has dimension {dimension}", dimension=dimension)
    square = float(query @ query)
    if _PLAIN[0] < square < _PLAIN[1]:
        return query if distance != "cosine" else query * np.float32(1 / math.sqrt(square))
    checked: NDArray[np.float32] = check_vectors(query[None, :], distance=distance)[0]
    return checked


def _as_floats(vector: object) -> NDArray[np.float32]:
    if isinstance(vector, np.ndarray) and vector.dtype == np.float32 and vector.flags.c_contiguous:
        return vector  # of unit length already, as embedders give it
    try:
        with np.errstate(over="ignore"):  # values too large for float32 become infinite, and are refused as such
            return np.ascontiguousarray(vector, np.float32)
    except (TypeError, ValueError):
        raise BadInput("the query's vector must be a list of numbers") from None


def _vectors(column: pa.Array, ids: Sequence[str], dimension: int) -> NDArray[np.float32]:
    if column.null_count:
        at = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise BadInput(f"{_named(at, ids)} has no vector")
    kind = column.type
    if pa.types.is_fixed_size_list(kind):
        lengths = np.full(len(column), kind.list_size)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        lengths = np.diff(column.offsets.to_numpy())
    else:
        raise BadInput(f"the column 'vector' must hold lists of float32, not {kind}")
    wrong = np.flatnonzero(lengths != dimension)
    if len(wrong):
        at = int(wrong[0])
        raise BadInput(
            f"{_named(at, ids)} has a vector of {counted(int(lengths[at]), 'value')},"
            f" this index has dimension {dimension}",
            dimension=dimension,
        )
    values = column.flatten()
    if values.null_count:
        at = int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0])
        raise BadInput(f"{_named(at // dimension, ids)} has no number at {at % dimension} of its vector")
    numbers: NDArray[np.float32] = values.to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    return numbers.reshape(-1, dimension)


def _column(table: pa.Table, name: str, otherwise: pa.Array) -> pa.Array:
    if name not in table.column_names:
        return otherwise
    return table.column(name).combine_chunks().cast(pa.large_string())


def _named(at: int, ids: Sequence[str] | None) -> str:
    return "the query's vector" if ids is None else f"item {ids[at]!r} (position {at})"
