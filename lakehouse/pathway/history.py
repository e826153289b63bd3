"""The history of a trace: what it revises, and what that revised, back to the first; and all that was said of them.

Belongs here: the walk. Not here: traces (see trace.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lakehouse.pathway.book import PathwayBook
from lakehouse.pathway.trace import Change, PathwayTrace


@dataclass(frozen=True, slots=True)
class History:
    """Traces, the newest first.

    Attributes:
        traces: The trace asked for and its predecessors.
        stopped_by: Why the walk ended early: a trace came again, or a predecessor is not there; None: it did not.
        changes: What was said of these traces, oldest first.
        changes_dropped: How many older ones are in the table `pathways` alone.
    """

    traces: list[PathwayTrace]
    stopped_by: Literal["cycle", "missing"] | None
    changes: list[tuple[str, Change]]
    changes_dropped: int


def history_of(book: PathwayBook, trace: PathwayTrace) -> History:
    """Walk back through predecessors; no longer than there are traces."""
    traces, seen = [trace], {trace.uid}
    stopped_by: Literal["cycle", "missing"] | None = None
    while (uid := traces[-1].predecessor_uid) is not None:
        if uid in seen:
            stopped_by = "cycle"
            break
        predecessor = book.get(uid)
        if predecessor is None:
            stopped_by = "missing"
            break
        seen.add(uid)
        traces.append(predecessor)
    changes = [(one.uid, change) for one in traces for change in tuple(one.changes)]
    changes.sort(key=lambda pair: pair[1].order)
    return History(traces, stopped_by, changes, sum(one.changes_dropped for one in traces))
