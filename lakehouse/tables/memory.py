"""The rows of a memory table: one for each entry of the memory log that was folded.

Belongs here: the Arrow schema and its column names. Not here: how entries become rows (see lakehouse/memory/rows.py),
how they are stored (see lakehouse/adapters/folded_rows.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

KEY = "op_id"
MEMORY_TABLES = frozenset({"playbooks", "pathways", "observer_events"})
"""Tables that are no corpora."""


def memory_schema(dimension: int | None = None) -> pa.Schema:
    """The columns of a memory table.

    Args:
        dimension: Length of the vectors, for a table that stores them as a column; None: it has none.

    Returns:
        `op_id` (the key, UUIDv7 of the operation), `order` (its place in the log, sorts as text), `op`, `subject_id`
        (what it is about), `payload` (a JSON object as text), `actor`, `recorded_at`, `valid_from` and `valid_to` (UTC;
        `valid_to` null: nothing has taken its place), `vector` (float32, null where the payload has none).
    """
    import pyarrow as pa

    moment = pa.timestamp("us", "UTC")
    columns = [
        pa.field(KEY, pa.string(), nullable=False),
        pa.field("order", pa.string(), nullable=False),
        pa.field("op", pa.string(), nullable=False),
        pa.field("subject_id", pa.string(), nullable=False),
        pa.field("payload", pa.string(), nullable=False),
        pa.field("actor", pa.string(), nullable=False),
        pa.field("recorded_at", moment, nullable=False),
        pa.field("valid_from", moment, nullable=False),
        pa.field("valid_to", moment),
    ]
    if dimension is not None:
        columns.append(pa.field("vector", pa.list_(pa.float32(), dimension)))
    return pa.schema(columns)
