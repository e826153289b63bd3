"""Pathways as SQL sees them: one row for each trace, retired ones too.

Belongs here: the rows. Not here: their types (see lakehouse/tables/reserved.py), how workers read them (see
lakehouse/adapters/memory_views.py).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lakehouse.pathway.book import PathwayBook

if TYPE_CHECKING:
    import pyarrow as pa


def pathway_table(book: PathwayBook) -> pa.Table:
    """The columns of the view `pathways`; `content` is a JSON document as text, times are UTC."""
    import pyarrow as pa

    moment = pa.timestamp("us")
    traces = book.traces()
    columns = {
        "uid": pa.array([t.uid for t in traces], pa.string()),
        "content": pa.array([t.content for t in traces], pa.string()),
        "tags": pa.array([list(t.tags) for t in traces], pa.list_(pa.string())),
        "predecessor_uid": pa.array([t.predecessor_uid for t in traces], pa.string()),
        "retired": pa.array([t.is_retired for t in traces], pa.bool_()),
        "retired_reason": pa.array([t.retired_reason for t in traces], pa.string()),
        "replay_count": pa.array([t.replay_count for t in traces], pa.int64()),
        "created_at": pa.array([_naive(t.created_at) for t in traces], moment),
        "updated_at": pa.array([_naive(t.updated_at) for t in traces], moment),
    }
    return pa.table(columns)


def _naive(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)
