"""Rows of the view `observer_events`.

Belongs here: from events to Arrow. Not here: the view (see lakehouse/adapters/observer_views.py), its columns' types in
SQL (see lakehouse/tables/reserved.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import TYPE_CHECKING

from lakehouse.observer.event import ObserverEvent

if TYPE_CHECKING:
    import pyarrow as pa

_TEXTS = ("event_id", "source", "kind", "subject", "model", "verdict")


def event_table(events: Sequence[ObserverEvent]) -> pa.Table:
    """Events as rows, in their order; times are UTC without a zone."""
    import pyarrow as pa

    columns = {name: pa.array([getattr(event, name) for event in events], pa.string()) for name in _TEXTS}
    columns["confidence"] = pa.array([event.confidence for event in events], pa.float64())
    columns["success"] = pa.array([event.success for event in events], pa.bool_())
    columns["latency_ms"] = pa.array([event.latency_ms for event in events], pa.float64())
    moments = [event.recorded_at.astimezone(UTC).replace(tzinfo=None) for event in events]
    columns["recorded_at"] = pa.array(moments, pa.timestamp("us"))
    return pa.table(columns)
