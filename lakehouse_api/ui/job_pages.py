"""The page of a piece of long work, which may be left and loaded again, and its stream of changes.

Belongs here: showing. Not here: the work (see jobs.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from lakehouse_api.auth import Principal
from lakehouse_api.dependencies import ReadDep, run_blocking
from lakehouse_api.services import Services
from lakehouse_api.ui.dependencies import SiteDep
from lakehouse_api.ui.job_records import JobRecord
from lakehouse_api.ui.rendering import NAVIGATION, environment, render_page
from lakehouse_api.ui.site import Site

router = APIRouter(prefix="/ui/jobs", include_in_schema=False)
TITLES = dict(NAVIGATION)
_MOST_SHOWN = 8


@router.get("/{job_id}")
async def ui_job(request: Request, site: SiteDep, principal: ReadDep, job_id: str) -> Response:
    """How it stands."""
    return render_page(request.scope, "job.html", job=site.jobs.get(job_id, owner=principal.name), titles=TITLES)


@router.get("/{job_id}/events")
async def ui_job_events(request: Request, site: SiteDep, principal: ReadDep, job_id: str) -> Response:
    """How it goes, as server-sent events of markup; the last one is `done`."""
    site.jobs.get(job_id, owner=principal.name)  # what is not there is told before the stream begins
    root = request.scope.get("root_path", "")
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _events(site.jobs.changes(job_id, owner=principal.name), root), media_type="text/event-stream", headers=headers
    )


async def recent_jobs(services: Services, site: Site, principal: Principal, kind: str) -> list[JobRecord]:
    """The latest work of a kind that somebody has begun."""
    found = await run_blocking(services, site.jobs.of, principal.name)
    return [one for one in found if one.kind == kind][:_MOST_SHOWN]


async def _events(changes: AsyncIterator[JobRecord], root: str) -> AsyncIterator[str]:
    template = environment().get_template("_job.html")
    async for now in changes:
        yield _event("progress", template.render(job=now, root=root))
    if now.state != "running":  # a running job means that the server stops; the page reconnects when it is back
        yield _event("done", now.state)


def _event(name: str, text: str) -> str:
    lines = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {name}\n{lines}\n"
