"""Health: how each part is, what waits, and what chat has cost by role.

Belongs here: the page. Not here: how a part is judged (see ../health.py), usage (see lakehouse/chat/usage.py).
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from lakehouse.adapters.lance_tables import LanceTables
from lakehouse_api.dependencies import ReadDep, ServicesDep, run_blocking
from lakehouse_api.health import read_health
from lakehouse_api.services import Services
from lakehouse_api.ui.chart_documents import counts_chart
from lakehouse_api.ui.charts import chart_answer
from lakehouse_api.ui.dependencies import SiteDep, is_part
from lakehouse_api.ui.rendering import render_page

router = APIRouter(prefix="/ui/health", include_in_schema=False)
_MOST_TABLES = 100


@router.get("")
async def ui_health(request: Request, services: ServicesDep, site: SiteDep, _: ReadDep) -> Response:
    """How everything is; the part below the heading asks again every five seconds."""
    events = dict(services.events.stats())
    context: dict[str, Any] = {
        "health": read_health(services),
        "queues": {
            "uploads in flight": services.put_gate.held,
            "ingests in flight": services.ingest_gate.held,
            "SQL workers at work": services.sql.stats()["busy"],
            "store calls in threads": services.threads.borrowed_tokens,
            "long work of pages": site.jobs.at_work,
        },
        "spool_lines": events.get("depth_lines"),
        "spool_bytes": events.get("depth_bytes"),
        "corpora": services.retrieval.corpora.stats(),
        "usage": services.chat.service.meter.report(),
        "providers": services.chat.service.last_errors,
    }
    return render_page(request.scope, "_health.html" if is_part(request) else "health.html", **context)


@router.get("/costs")
async def ui_health_costs(
    request: Request, services: ServicesDep, site: SiteDep, _: ReadDep, png: Annotated[bool, Query()] = False
) -> Response:
    """Tokens by role."""
    by_role = services.chat.service.meter.report()["by_role"]
    tokens = {str(role): float(one["prompt_tokens"] + one["completion_tokens"]) for role, one in by_role.items()}
    return await chart_answer(
        request, site, counts_chart(tokens, what="tokens"), said="tokens of chat by role", png=png
    )


@router.get("/fragments")
async def ui_health_fragments(request: Request, services: ServicesDep, _: ReadDep) -> Response:
    """In how many pieces each table of vectors lies; asked of the store, so it comes after the page."""
    found = await run_blocking(services, _fragments, services)
    return render_page(request.scope, "_fragments.html", tables=found)


def _fragments(services: Services) -> list[dict[str, Any]]:
    tables = LanceTables(services.objects.location, services.objects)
    opened = ((name, tables.open(name)) for name in tables.names()[:_MOST_TABLES])
    return [{"name": name, **table.stats()} for name, table in opened if table is not None]
