"""The rows of a corpus: what Lance stores and every index is made of.

Belongs here: the Arrow schema and its column names. Not here: how rows are made (see lakehouse/retrieval), stored or
indexed (see lakehouse/adapters).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def corpus_schema(dimension: int) -> pa.Schema:
    """The columns of a corpus.

    Args:
        dimension: Length of its vectors, 1 or more.

    Returns:
        `id` (the key), `op_id` (UUIDv7 of the write that made the row), `text` (what was embedded; null when only a
        vector was given), `vector` (float32), `metadata` (a JSON object as text), `content_hash` (SHA-256 hex of text
        and metadata, null for rows that no build made).
    """
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("op_id", pa.string(), nullable=False),
            pa.field("text", pa.string()),
            pa.field("vector", pa.list_(pa.float32(), dimension), nullable=False),
            pa.field("metadata", pa.string(), nullable=False),
            pa.field("content_hash", pa.string()),
        ]
    )
