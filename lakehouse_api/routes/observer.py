"""`/v1/observer`: what agents, hooks and people report (CONTRACTS.md section 7).

Belongs here: the routes. Not here: the ring (see lakehouse/observer), writing events down (see
lakehouse/adapters/observer_log.py), workflows (see workflow.py).
"""

from __future__ import annotations

from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Query
from starlette.responses import Response

from lakehouse.clock import new_id, utc_now
from lakehouse.errors import TooLarge
from lakehouse.observer.event import MAX_DATA_BYTES, ObserverEvent, data_size
from lakehouse_api.dependencies import ReadDep, ServicesDep
from lakehouse_api.errors import problems
from lakehouse_api.hot_routes import HOT, Asked
from lakehouse_api.schemas.observer import EventTaken, ObserverCounts, ObserverEvents, ObserverReport
from lakehouse_api.schemas.times import Moment
from lakehouse_api.struct_bodies import Body, answers

router = APIRouter(prefix="/v1/observer", tags=["observer"])
_EVENT = {
    "source": "agent/dispatch",
    "kind": "tool_call",
    "subject": "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c",
    "model": "smollm2-135m-instruct",
    "verdict": "reject",
    "confidence": 0.8,
    "success": False,
    "latency_ms": 412.5,
    "data": {"tool": "send_sms", "error": "no such number"},
}
_ID = "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3d"
_EVENTS = {"events": [{"event_id": _ID, "recorded_at": "2026-03-04T09:30:00.125000Z", **_EVENT, "actor": "primary"}]}
_COUNTS = {
    "total": 1,
    "in_ring": 1,
    "dropped": 0,
    "persist_errors": 0,
    "by_source": {"agent/dispatch": 1},
    "by_kind": {"tool_call": 1},
    "by_verdict": {"reject": 1},
    "by_model": {"smollm2-135m-instruct": 1},
}
Name = Annotated[str | None, Query(max_length=200)]


async def report_event(asked: Asked) -> bytes:
    """Report something; it is in memory when this returns, and on disk soon after."""
    body: ObserverReport = asked.body
    if body.data is not None and (size := data_size(body.data)) > MAX_DATA_BYTES:
        raise TooLarge(
            f"data has {size >> 10} KiB; at most {MAX_DATA_BYTES >> 10} are kept. Send a reference to the rest"
        )
    event = ObserverEvent(
        event_id=new_id(),
        recorded_at=utc_now(),
        source=body.source,
        kind=body.kind,
        subject=body.subject,
        model=body.model,
        verdict=body.verdict,
        confidence=body.confidence,
        success=body.success,
        latency_ms=body.latency_ms,
        data=body.data,
        actor=asked.principal.name,
        task_id=asked.state["task_id"],
        trace_id=asked.state["request_id"],
    )
    asked.state["is_audited"] = True
    await asked.services.observer.put(event)
    return orjson.dumps({"event_id": event.event_id})


HOT.declare(
    router, "/event", report_event, body=Body(ObserverReport, example=_EVENT), scope="write", status=202,
    responses={202: answers(EventTaken, example={"event_id": _ID}), **problems(507)},
)  # fmt: skip


@router.get("/events", responses={200: answers(ObserverEvents, example=_EVENTS)})
async def list_events(
    services: ServicesDep,
    principal: ReadDep,
    *,
    source: Name = None,
    kind: Name = None,
    verdict: Literal["accept", "reject", "cycle"] | None = None,
    model: Name = None,
    since: Annotated[Moment | None, Query(description="Recorded at or after this time.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """List events of this process, newest first; the view `observer_events` has all of them."""
    found = services.observer.ring.latest(limit, source=source, kind=kind, verdict=verdict, model=model, since=since)
    shown = [event.document(has_pii=principal.has_pii) for event in found]
    return Response(orjson.dumps({"events": shown}), media_type="application/json")


@router.get("/stats", responses={200: answers(ObserverCounts, example=_COUNTS)})
async def observer_stats(services: ServicesDep, _: ReadDep) -> Response:
    """Count events of this process, by source, kind, verdict and model."""
    return Response(orjson.dumps(services.observer.document()), media_type="application/json")
