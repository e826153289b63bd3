"""Items that a client adds to an index: checked, and made into the rows that are stored.

Belongs here: checks that name the item, the way to Arrow. Not here: embedding texts, HTTP (see lakehouse_api/routes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from numpy.typing import NDArray

from lakehouse.counted import counted
from lakehouse.errors import BadInput
from lakehouse.tables.corpus import corpus_schema

if TYPE_CHECKING:
    import pyarrow as pa

MAX_ID_BYTES = 1024
MAX_METADATA_BYTES = 1 << 20
# Python's `json` reads about a thousand levels, and orjson writes 254; stored metadata must be readable by both.
MAX_METADATA_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Items:
    """Items in columns; of an item either the vector or the text is given. `metadata` are JSON objects as text."""

    ids: Sequence[str]
    vectors: Sequence[Any]
    texts: Sequence[str | None]
    metadata: Sequence[str]


def read_items(items: Sequence[Any]) -> Items:
    """Check the ids and metadata of items as they came in JSON.

    Args:
        items: Objects with `id`, `vector` (list of numbers) or `text`, and `metadata` (an object).

    Raises:
        BadInput: Naming the item by its position.
    """
    metadata = []
    for position, item in enumerate(items):
        _check_id(item.id, position)
        if (item.vector is None) == (item.text is None):
            raise BadInput(f"items[{position}] ({item.id[:60]!r}) must have a vector or a text, and not both")
        if item.vector is None:
            _check_text(item.text, item.id, position)
        metadata.append(_encode_metadata(item.metadata, item.id, position))
    return Items([i.id for i in items], [i.vector for i in items], [i.text for i in items], metadata)


def read_arrow_items(table: pa.Table) -> Items:
    """The items of an Arrow table with columns `id`, `vector` or `text`, and optionally `metadata` (JSON text).

    Raises:
        BadInput: A column is missing, unknown or of the wrong type; naming the item, whose id or metadata is wrong or
            that has neither a vector nor a text.
    """
    import pyarrow as pa

    known = {"id", "vector", "text", "metadata"}
    names = set(table.column_names)
    if names - known or "id" not in names or not names & {"vector", "text"}:
        raise BadInput(f"the Arrow table has columns {sorted(names)}; id, vector or text, and metadata are known")
    for name in names - {"vector"}:
        if not (
            pa.types.is_string(table.schema.field(name).type) or pa.types.is_large_string(table.schema.field(name).type)
        ):
            raise BadInput(f"the column {name!r} must be a string, not {table.schema.field(name).type}")
    ids = table.column("id").to_pylist()
    for position, value in enumerate(ids):
        _check_id(value, position)
    rows = table.num_rows
    metadata = table.column("metadata").to_pylist() if "metadata" in names else ["{}"] * rows
    for position, text in enumerate(metadata):
        _check_metadata(text, ids[position], position)
    texts = table.column("text").to_pylist() if "text" in names else [None] * rows
    vectors: Sequence[Any] = [None] * rows
    if "vector" in names:
        vectors = _arrow_vectors(table.column("vector").combine_chunks())
    for position in _positions_without_vector(vectors):
        _check_text(texts[position], ids[position], position)
    return Items(ids, vectors, texts, metadata)


def vector_matrix(vectors: Sequence[Any], ids: Sequence[str], *, dimension: int, distance: str) -> NDArray[np.float32]:
    """Vectors as one matrix.

    Args:
        vectors: Each a list of numbers.
        ids: Whose they are.
        dimension: Length that each must have.
        distance: `cosine` has no place for a zero vector.

    Raises:
        BadInput: Naming the first item whose vector has another length, no finite numbers, or only zeros.
    """
    for position, vector in enumerate(vectors):
        if len(vector) != dimension:
            raise BadInput(
                f"items[{position}] ({ids[position][:60]!r}) has {counted(len(vector), 'dimension')},"
                f" the index has {dimension}"
            )
    try:
        with np.errstate(over="ignore"):  # values too large for float32 become infinite, and are refused as such
            matrix = np.asarray(vectors, dtype=np.float32).reshape(len(vectors), dimension)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInput(f"a vector holds what is not a number: {error}") from None
    is_finite = np.isfinite(matrix).all(axis=1)
    if not is_finite.all():
        position = int(np.argmin(is_finite))
        raise BadInput(f"items[{position}] ({ids[position][:60]!r}) has a vector that is not finite")
    is_zero = ~matrix.any(axis=1)
    if distance == "cosine" and is_zero.any():
        position = int(np.argmax(is_zero))
        raise BadInput(f"items[{position}] ({ids[position][:60]!r}) has a zero vector, which has no direction")
    return matrix


def item_rows(items: Items, matrix: NDArray[np.float32], *, op_id: str) -> pa.Table:
    """The stored rows of items (see lakehouse/tables/corpus.py).

    Args:
        items: The items.
        matrix: Their vectors, (n, dimension).
        op_id: Of the write.
    """
    import pyarrow as pa

    rows, dimension = matrix.shape
    columns = [
        pa.array(items.ids, pa.string()),
        pa.array([op_id] * rows, pa.string()),
        pa.array(items.texts, pa.string()),
        pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), dimension),
        pa.array(items.metadata, pa.string()),
        pa.nulls(rows, pa.string()),
    ]
    return pa.table(columns, schema=corpus_schema(dimension))


def _arrow_vectors(column: Any) -> Sequence[Any]:
    import pyarrow as pa

    kind = column.type
    is_list = pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not is_list or not pa.types.is_floating(kind.value_type):
        raise BadInput(f"the column 'vector' must be a list of floats, not {kind}")
    if pa.types.is_fixed_size_list(kind) and not column.null_count:
        flat = column.flatten()
        return flat.to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(column), kind.list_size)  # type: ignore[no-any-return]
    return column.to_pylist()  # type: ignore[no-any-return]


def _positions_without_vector(vectors: Sequence[Any]) -> list[int]:
    return [] if isinstance(vectors, np.ndarray) else [n for n, vector in enumerate(vectors) if vector is None]


def _check_text(text: str | None, item_id: str, position: int) -> None:
    if text is None:
        raise BadInput(f"items[{position}] ({item_id[:60]!r}) must have a vector or a text")
    if not text.strip():
        raise BadInput(f"items[{position}] ({item_id[:60]!r}) has a blank text")


def _check_id(value: object, position: int) -> None:
    if not isinstance(value, str) or not value or len(value.encode("utf-8", "replace")) > MAX_ID_BYTES:
        raise BadInput(f"items[{position}] must have an id of 1 to {MAX_ID_BYTES} bytes")


def _encode_metadata(document: dict[str, Any], item_id: str, position: int) -> str:
    try:
        encoded = orjson.dumps(document).decode()
    except orjson.JSONEncodeError as error:
        _check_depth(document, item_id, position)
        raise BadInput(f"items[{position}] ({item_id[:60]!r}) has metadata that is not JSON here: {error}") from None
    if len(encoded) > MAX_METADATA_BYTES:
        raise BadInput(f"items[{position}] ({item_id[:60]!r}) has more than {MAX_METADATA_BYTES} bytes of metadata")
    if _may_be_deep(encoded):
        _check_depth(document, item_id, position)
    return encoded


def _check_metadata(text: object, item_id: str, position: int) -> None:
    document = None
    if isinstance(text, str) and len(text.encode()) > MAX_METADATA_BYTES:
        raise BadInput(f"items[{position}] ({item_id[:60]!r}) has more than {MAX_METADATA_BYTES} bytes of metadata")
    try:
        document = orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError as error:
        if error.msg.startswith("depth limit exceeded"):
            raise _too_deep(item_id, position) from None
    if not isinstance(document, dict):
        raise BadInput(f"items[{position}] ({item_id[:60]!r}) has metadata that is not a JSON object")
    if _may_be_deep(str(text)):
        _check_depth(document, item_id, position)


def _may_be_deep(text: str) -> bool:
    return len(text) > 2 * MAX_METADATA_DEPTH and text.count("{") + text.count("[") > MAX_METADATA_DEPTH


def _check_depth(document: dict[str, Any], item_id: str, position: int) -> None:
    level: list[Any] = [document]
    for _ in range(MAX_METADATA_DEPTH):
        values = [v for one in level for v in (one.values() if isinstance(one, dict) else one)]
        level = [value for value in values if isinstance(value, dict | list)]
    if level:
        raise _too_deep(item_id, position)


def _too_deep(item_id: str, position: int) -> BadInput:
    return BadInput(f"items[{position}] ({item_id[:60]!r}) has metadata nested deeper than {MAX_METADATA_DEPTH} levels")
