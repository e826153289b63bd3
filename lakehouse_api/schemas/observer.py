"""What `/v1/observer` takes and answers about events (CONTRACTS.md section 7).

Belongs here: its shapes. Not here: the ring (see lakehouse/observer), workflows (see workflow.py).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Name = Annotated[str, Meta(min_length=1, max_length=200)]


class ObserverReport(Struct, forbid_unknown_fields=True, frozen=True):
    """Something that an agent, a hook or a person reports."""

    source: Annotated[Name, Meta(description="Who reports.")]
    kind: Annotated[Name, Meta(description="What sort of thing.")]
    subject: (
        Annotated[
            str, Meta(max_length=10_000, description="What it is about; the run's id where it is a verdict on it.")
        ]
        | None
    ) = None
    model: Name | None = None
    verdict: Literal["accept", "reject", "cycle"] | None = None
    confidence: Annotated[float, Meta(ge=0, le=1, description="How sure the verdict is.")] | None = None
    success: bool | None = None
    latency_ms: Annotated[float, Meta(ge=0, le=1e12)] | None = None
    data: Annotated[Any, Meta(description="What else there is, any JSON of 256 KiB at the most.")] = None


class EventTaken(Struct):
    """The event's id, which sorts by time."""

    event_id: str


class ObserverEventView(Struct):
    """An event; `subject` and `data` are `[masked]` for tokens without the scope `pii`."""

    event_id: str
    recorded_at: str
    source: str
    kind: str
    subject: str | None
    model: str | None
    verdict: Literal["accept", "reject", "cycle"] | None
    confidence: float | None
    success: bool | None
    latency_ms: float | None
    data: Any
    actor: str | None


class ObserverEvents(Struct):
    """Events in memory, newest first."""

    events: list[ObserverEventView]


class ObserverCounts(Struct):
    """Counts of this process since its start; `dropped` had to leave the ring, `persist_errors` are not on disk."""

    total: int
    in_ring: int
    dropped: int
    persist_errors: int
    by_source: dict[str, int]
    by_kind: dict[str, int]
    by_verdict: dict[str, int]
    by_model: dict[str, int]
