"""Uploads: the bytes come in while the browser shows how many, then the load goes on as long work with its own page.

Belongs here: the form's route. Not here: the ingest (see ../routes/ingest.py), the job's page (see job_pages.py).
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from lakehouse.catalog.names import check_dataset_name
from lakehouse.ingest.options import make_options
from lakehouse_api.dependencies import ServicesDep, WriteDep, run_blocking
from lakehouse_api.multipart import spooled_file
from lakehouse_api.routes.ingest import load_file
from lakehouse_api.spool import check_length
from lakehouse_api.ui.dependencies import CSRF_HEADER, SiteDep, require_csrf
from lakehouse_api.ui.jobs import Job

router = APIRouter(prefix="/ui/datasets", include_in_schema=False)
_FORM_BYTES = 128 << 10


@router.post("/upload")
async def ui_upload(
    *,
    request: Request,
    services: ServicesDep,
    site: SiteDep,
    principal: WriteDep,
    name: Annotated[str, Query(max_length=100)],
    mode: Annotated[Literal["replace", "append"], Query()] = "replace",
    on_error: Annotated[Literal["refuse", "quarantine"], Query()] = "refuse",
    evolve: Annotated[bool, Query()] = False,
) -> Response:
    """Take a file, and begin to load it; the answer leads to the page of the work."""
    require_csrf(request, request.headers.get(CSRF_HEADER, ""))  # before a byte of the file is read
    check_dataset_name(name)
    choose = partial(make_options, mode=mode, on_error=on_error, evolve=evolve)
    choose()
    cap_bytes = services.settings.max_ingest_bytes
    check_length(request, cap_bytes, "an upload", form_bytes=_FORM_BYTES)
    services.disk.require_space()
    async with AsyncExitStack() as stack:
        stack.enter_context(services.ingest_gate.hold())
        await run_blocking(services, services.ingester.prepare)
        file = await stack.enter_async_context(spooled_file(request, services, cap_bytes=cap_bytes))
        options = choose(file_name=file.name, content_type=file.content_type)
        held = stack.pop_all()

    async def work(job: Job) -> None:
        async with held:
            job.step(f"{file.size:,} bytes are here, and hashed")
            job.step(f"reading {options.format}, finding types, writing Parquet")
            result = await load_file(request, services, principal, file, name=name, options=options)
            said = f"version {result.manifest.version} with {result.manifest.row_count:,} rows"
            job.end("done", f"{name}: {said}", f"/ui/datasets/of/{name}")

    try:
        job = site.jobs.start(f"Load {file.name or 'a file'} into {name}", work, owner=principal.name)
    except BaseException:
        await held.aclose()
        raise
    return Response(status_code=204, headers={"HX-Redirect": f"{request.scope.get('root_path', '')}/ui/jobs/{job.id}"})
