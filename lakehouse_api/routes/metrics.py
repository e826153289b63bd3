"""`/metrics`: numbers for Prometheus, with a token of the scope `read`.

Belongs here: the route and the gauges read at the scrape. Not here: what is counted (see ../metrics.py).
"""

from __future__ import annotations

from fastapi import APIRouter, Response

from lakehouse_api.dependencies import ReadDep, ServicesDep, run_blocking
from lakehouse_api.health import read_health
from lakehouse_api.metrics import CONTENT_TYPE

router = APIRouter(tags=["operations"])
_STATES = {"ok": 0, "degraded": 1, "unavailable": 2}


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "Prometheus text.", "content": {CONTENT_TYPE: {"schema": {"type": "string"}}}}},
)
async def get_metrics(services: ServicesDep, _: ReadDep) -> Response:
    """Give the numbers of this process."""
    health = read_health(services)
    metrics = services.metrics
    for name, part in health.parts.items():
        metrics.set_gauge(f"{name}_state", _STATES[part.state], "0 ok, 1 degraded, 2 unavailable.")
        for key, value in (part.model_extra or {}).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                metrics.set_gauge(f"{name}_{key}", value, f"{key} of {name}, as in /health.")
    answers = services.retrieval.search.stats()
    metrics.set_gauge("answers_cached", answers["cached"], "Answers of searches that are kept.")
    metrics.set_gauge("answers_cached_bytes", answers["cached_bytes"], "What these take.")
    metrics.set_gauge("storage_puts_in_flight", services.put_gate.held, "Uploads to /v1/storage.")
    metrics.set_gauge("ingests_in_flight", services.ingest_gate.held, "Uploads to /v1/ingest.")
    return Response(await run_blocking(services, metrics.render), media_type=CONTENT_TYPE)
