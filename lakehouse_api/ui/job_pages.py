"""The page of a piece of long work, which may be left and loaded again, and its stream of changes.

Belongs here: showing. Not here: the work (see jobs.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from lakehouse_api.dependencies import ReadDep
from lakehouse_api.ui.dependencies import SiteDep
from lakehouse_api.ui.jobs import Job
from lakehouse_api.ui.rendering import environment, render_page

router = APIRouter(prefix="/ui/jobs", include_in_schema=False)


@router.get("/{job_id}")
async def ui_job(request: Request, site: SiteDep, principal: ReadDep, job_id: str) -> Response:
    """How it stands."""
    return render_page(request.scope, "job.html", job=site.jobs.get(job_id, owner=principal.name))


@router.get("/{job_id}/events")
async def ui_job_events(request: Request, site: SiteDep, principal: ReadDep, job_id: str) -> Response:
    """How it goes, as server-sent events of markup; the last one is `done`."""
    job = site.jobs.get(job_id, owner=principal.name)
    root = request.scope.get("root_path", "")
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(job, root), media_type="text/event-stream", headers=headers)


async def _events(job: Job, root: str) -> AsyncIterator[str]:
    template = environment().get_template("_job.html")
    async for now in job.changes():
        yield _event("progress", template.render(job=now, root=root))
    yield _event("done", job.state)


def _event(name: str, text: str) -> str:
    lines = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {name}\n{lines}\n"
