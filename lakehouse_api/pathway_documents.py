"""Traces and histories as the API answers them, within bounds.

Belongs here: the documents. Not here: the routes (see routes/pathway.py), their shapes (see schemas/pathway.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from lakehouse.pathway.history import History
from lakehouse.pathway.trace import Change, PathwayTrace
from lakehouse.tables.reserved import MASK

_MOST_BYTES = 8 << 20  # of contents in one answer


def history_document(history: History) -> dict[str, Any]:
    """The history of a trace as it is answered: the newest of it that have room."""
    newest: list[tuple[str, Change]] = []
    left = _MOST_BYTES
    for pair in reversed(history.changes):
        left -= len(pair[1].content or "")
        if left < 0 and newest:
            break
        newest.append(pair)
    changes = [_change(of, change) for of, change in reversed(newest)]
    shown = within(history.traces)
    return {
        "traces": [document(trace) for trace in history.traces[:shown]],
        "complete": history.stopped_by is None,
        "stopped_by": history.stopped_by,
        "changes": changes,
        "changes_dropped": history.changes_dropped + len(history.changes) - len(changes),
        "truncated": shown < len(history.traces),
    }


def _change(uid: str, change: Change) -> dict[str, Any]:
    return {
        "uid": uid,
        "event": change.event,
        "at": change.at,
        "actor": change.actor,
        "revision": change.order,
        "content": None if change.content is None else orjson.Fragment(change.content),
        "note": change.note,
    }


def within(traces: Sequence[PathwayTrace]) -> int:
    """How many of these an answer has room for, one at the least."""
    left = _MOST_BYTES
    for number, trace in enumerate(traces):
        left -= len(trace.content)
        if left < 0 and number:
            return number
    return len(traces)


def document(trace: PathwayTrace, *, has_pii: bool = True) -> dict[str, Any]:
    """A trace as it is answered; what people wrote needs the scope `pii`."""
    return {
        "uid": trace.uid,
        "content": orjson.Fragment(trace.content) if has_pii else MASK,
        "tags": trace.tags if has_pii else [],
        "predecessor_uid": trace.predecessor_uid,
        "retired": trace.is_retired,
        "retired_reason": trace.retired_reason if has_pii or trace.retired_reason is None else MASK,
        "replay_count": trace.replay_count,
        "created_at": trace.created_at,
        "updated_at": trace.updated_at,
        "links": trace.links,
    }
