"""An event as it is kept: for the ring, for answers, as a line of `observer_events`.

Belongs here: the shape and its forms. Not here: what a caller may send (see lakehouse_api/schemas/observer.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson

from lakehouse.catalog.manifest import format_utc
from lakehouse.errors import BadInput
from lakehouse.tables.reserved import MASK

STREAM = "observer_events"
Verdict = Literal["accept", "reject", "cycle"]
MAX_DATA_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class ObserverEvent:
    """Something that was reported.

    Attributes:
        source: Who reports: an agent, a hook, a workflow.
        kind: What sort of thing.
        subject: What it is about; a run's id where it is a verdict on that run.
        verdict: `accept`, `reject` or `cycle` (do it again).
        confidence: How sure the verdict is, 0 to 1.
        data: What else there is, any JSON.
        actor: Name of the token that sent it.
    """

    event_id: str
    recorded_at: datetime
    source: str
    kind: str
    subject: str | None = None
    model: str | None = None
    verdict: Verdict | None = None
    confidence: float | None = None
    success: bool | None = None
    latency_ms: float | None = None
    data: Any = None
    actor: str | None = None
    task_id: str | None = None
    trace_id: str | None = None

    def document(self, *, has_pii: bool) -> dict[str, Any]:
        """As answers show it: what is free text only to those who may see personal data."""
        return {
            "event_id": self.event_id,
            "recorded_at": format_utc(self.recorded_at),
            "source": self.source,
            "kind": self.kind,
            "subject": self.subject if has_pii or self.subject is None else MASK,
            "model": self.model,
            "verdict": self.verdict,
            "confidence": self.confidence,
            "success": self.success,
            "latency_ms": self.latency_ms,
            "data": self.data if has_pii or self.data is None else MASK,
            "actor": self.actor,
        }

    def line(self) -> dict[str, Any]:
        """Its line in the stream; the event's id is the run's."""
        shown = self.document(has_pii=True)
        del shown["recorded_at"]
        return {"run_id": self.event_id, "task_id": self.task_id, "trace_id": self.trace_id, **shown}


def data_size(data: Any) -> int:
    """Bytes of an event's data as JSON.

    Raises:
        BadInput: It holds a whole number of more than 64 bits, or is nested deeper than 254.
    """
    try:
        return len(orjson.dumps(data))
    except TypeError as error:
        raise BadInput(
            f"data cannot be kept as JSON ({error}): whole numbers have at most 64 bits and nesting 254 levels; send a "
            "larger number as text, and a reference to what is deeper"
        ) from None


def matches(event: ObserverEvent, wanted: Mapping[str, Any]) -> bool:
    """Whether an event has these values; a `since` is the earliest time."""
    for name, value in wanted.items():
        if value is None:
            continue
        if name == "since":
            if event.recorded_at < value:
                return False
        elif getattr(event, name) != value:
            return False
    return True
