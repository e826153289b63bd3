"""Uploads: the bytes come in while the browser shows how many, then the load goes on as long work with its own page.

The form is a plain multipart form whose file stands last: all else is checked before a byte of it is taken, with and
without a script.

Belongs here: the form's route. Not here: the ingest (see ../routes/ingest.py), the job's page (see job_pages.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from lakehouse.catalog.names import check_dataset_name
from lakehouse.counted import counted
from lakehouse.errors import LakehouseError
from lakehouse.ingest.options import IngestOptions, make_options
from lakehouse.ingest.ways_out import Door
from lakehouse_api.dependencies import ServicesDep, WriteDep, run_blocking
from lakehouse_api.multipart import SpooledFile, spooled_file
from lakehouse_api.routes.ingest import load_file
from lakehouse_api.services import Services
from lakehouse_api.spool import check_length
from lakehouse_api.ui.dependencies import CSRF_FIELD, CSRF_HEADER, SiteDep, is_part, require_csrf
from lakehouse_api.ui.jobs import Job

router = APIRouter(prefix="/ui/datasets", include_in_schema=False)
_FORM_BYTES = 128 << 10
_DOOR = Door(
    quarantine='choose "put them aside" for bad records',
    evolve='tick "accept other columns"',
    encoding="choose the file's encoding in the form",
)
_LOST = (
    "the server stopped before this load had ended; the dataset shows the last version that was loaded, and if this"
    " file is not in it, upload it again: the same file is not loaded twice"
)


@router.post("/upload")
async def ui_upload(*, request: Request, services: ServicesDep, site: SiteDep, principal: WriteDep) -> Response:
    """Take a file, and begin to load it; the answer leads to the page of the work."""
    name, options, file, held = await _received(request, services)

    async def work(job: Job) -> None:
        async with held:
            job.step(f"{counted(file.size, 'byte', 'is')} here, and hashed")
            job.step(f"reading {options.format}, finding types, writing Parquet")
            try:
                result = await load_file(request, services, principal, file, name=name, options=options)
            except LakehouseError as error:
                job.end("failed", _DOOR.says(error.detail))
                return
            version = f"version {result.manifest.version} with {counted(result.manifest.row_count, 'row')}"
            said = f"{version} has this very file already" if result.existing else version
            job.end("done", f"{name}: {said}", f"/ui/datasets/of/{name}")

    title = f"Load {file.name or 'a file'} into {name}"
    try:
        job = site.jobs.start(title, work, owner=principal.name, kind="datasets", if_lost=_LOST)
    except BaseException:
        await held.aclose()
        raise
    target = f"{request.scope.get('root_path', '')}/ui/jobs/{job.id}"
    if is_part(request):
        return Response(status_code=204, headers={"HX-Redirect": target})
    return RedirectResponse(target, 303)


async def _received(request: Request, services: Services) -> tuple[str, IngestOptions, SpooledFile, AsyncExitStack]:
    """The file of the form with what is to become of it; what is held for it is let go by who loads it."""
    secret = request.headers.get(CSRF_HEADER, "")
    if secret or not request.headers.get("content-type", "").startswith("multipart/form-data"):
        require_csrf(request, secret)
    cap_bytes = services.settings.max_ingest_bytes
    check_length(request, cap_bytes, "an upload", form_bytes=_FORM_BYTES)
    services.disk.require_space()
    chosen: list[tuple[str, Callable[..., IngestOptions]]] = []

    def begin(fields: Mapping[str, str]) -> None:
        require_csrf(request, secret or fields.get(CSRF_FIELD, ""))
        choose = partial(
            make_options, mode=fields.get("mode", "replace"), on_error=fields.get("on_error", "refuse"),
            encoding=fields.get("encoding", IngestOptions().encoding), evolve=fields.get("evolve") == "true",
        )  # fmt: skip
        choose()
        chosen.append((check_dataset_name(fields.get("name", "")), choose))

    async with AsyncExitStack() as stack:
        turn = services.ingest_gate.hold_in_turn(services.settings.ingest_queue_timeout_s)
        await stack.enter_async_context(turn)
        await run_blocking(services, services.ingester.prepare)
        file = await stack.enter_async_context(spooled_file(request, services, cap_bytes=cap_bytes, begin=begin))
        ((name, choose),) = chosen
        return name, choose(file_name=file.name, content_type=file.content_type), file, stack.pop_all()
