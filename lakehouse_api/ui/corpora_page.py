"""Corpora: those that are searched, and those that are trained on with their cards, gates, differences and files.

Belongs here: these pages. Not here: reading builds (see lakehouse/adapters/stored_builds.py), building (see
lakehouse/adapters/export_child.py).
"""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from lakehouse.adapters.export_child import build_in_child
from lakehouse.adapters.stored_builds import StoredBuilds
from lakehouse.counted import counted
from lakehouse.distillation.parameters import KINDS, read_parameters
from lakehouse.errors import BadInput, NotFound
from lakehouse_api.answering_store import ANSWERING_STORE
from lakehouse_api.dependencies import ReadDep, ServicesDep, WriteDep, audit, run_blocking
from lakehouse_api.routes.storage import get_object
from lakehouse_api.routes.vectors import list_indexes
from lakehouse_api.services import Services
from lakehouse_api.ui.chart_documents import counts_chart
from lakehouse_api.ui.charts import chart_answer
from lakehouse_api.ui.dependencies import FormDep, SiteDep, field
from lakehouse_api.ui.job_pages import recent_jobs
from lakehouse_api.ui.jobs import Job
from lakehouse_api.ui.rendering import CSP, render_page

router = APIRouter(prefix="/ui/corpora", include_in_schema=False, dependencies=[ANSWERING_STORE])
_CARD = "README.md"
_LOST = (
    "the server stopped before the build had ended; the page Corpora lists it if it was finished all the same, else"
    " build it again"
)
_CHARTS = {"gate": "by_gate", "split": "by_split", "source": "by_source", "verdict": "by_verdict"}
Kind = Annotated[str, Path(pattern=r"^[a-z]{1,20}$")]
BuildId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]


@router.get("")
async def ui_corpora(request: Request, services: ServicesDep, site: SiteDep, principal: ReadDep) -> Response:
    """Corpora that are searched, and builds."""
    builds = await run_blocking(services, _builds(services).list)
    indexes = (await list_indexes(services, principal)).indexes
    return render_page(
        request.scope,
        "corpora.html",
        builds=builds,
        indexes=indexes,
        kinds=KINDS,
        may_write="write" in principal.scopes,
        jobs=await recent_jobs(services, site, principal, "corpora"),
    )


@router.get("/compare")
async def ui_corpora_compare(
    request: Request,
    services: ServicesDep,
    _: ReadDep,
    a: Annotated[str, Query(max_length=60)],
    b: Annotated[str, Query(max_length=60)],
) -> Response:
    """What two builds differ in."""
    builds = _builds(services)
    if a == b:
        raise BadInput("choose two different builds to compare", field="b")
    one, other = [await run_blocking(services, builds.find, *name.partition("/")[::2]) for name in (a, b)]
    diff = await run_blocking(services, builds.differences, one, other)
    return render_page(request.scope, "build_diff.html", one=one, other=other, diff=diff)


@router.post("/build")
async def ui_corpora_build(
    request: Request, services: ServicesDep, site: SiteDep, principal: WriteDep, form: FormDep
) -> Response:
    """Build a corpus, as long work with a page of its own."""
    try:
        given = orjson.loads(field(form, "parameters", "") or "{}")
    except orjson.JSONDecodeError as error:
        raise BadInput(f"parameters are not JSON: {error}", field="parameters") from None
    if not isinstance(given, dict):
        raise BadInput('parameters must be a JSON object, such as {"seed": 5}', field="parameters")
    parameters = {**given, "kind": field(form, "kind")}
    read_parameters(parameters)  # what is wrong is said at once
    services.require_writable()

    async def work(job: Job) -> None:
        built = await build_in_child(parameters, on_step=job.step)
        await audit(
            services, principal, request, action="corpus.export", subject=built.build_id, status="ok",
            rows=built.samples,
        )  # fmt: skip
        said = counted(built.samples, "sample") + (
            "" if built.is_new else ", there already: the same inputs are the same build"
        )
        job.end("done", said, f"/ui/corpora/{built.kind}/{built.build_id}")

    job = site.jobs.start(
        f"Build a corpus of kind {parameters['kind']}", work, owner=principal.name, kind="corpora", if_lost=_LOST
    )
    return RedirectResponse(f"{request.scope.get('root_path', '')}/ui/jobs/{job.id}", 303)


@router.get("/{kind}/{build_id}")
async def ui_corpus_build(
    request: Request, services: ServicesDep, principal: ReadDep, kind: Kind, build_id: BuildId
) -> Response:
    """One build: its gates, its parameters, its files, its card."""
    builds = _builds(services)
    build = await run_blocking(services, builds.find, kind, build_id)
    manifest = await run_blocking(services, builds.manifest, build) if build.is_kept else None
    card = await run_blocking(services, builds.text, build, _CARD) if build.is_kept else ""
    return render_page(
        request.scope, "build.html", build=build, manifest=manifest, card=card, charts=_CHARTS,
        may_download=principal.has_pii,
    )  # fmt: skip


@router.get("/{kind}/{build_id}/chart/{what}")
async def ui_corpus_build_chart(  # noqa: PLR0917 - FastAPI passes all by name
    request: Request,
    services: ServicesDep,
    site: SiteDep,
    _: ReadDep,
    kind: Kind,
    build_id: BuildId,
    what: Annotated[str, Path(max_length=20)],
    png: Annotated[bool, Query()] = False,
) -> Response:
    """The accounts of a build as bars."""
    if what not in _CHARTS:
        raise NotFound(f"there is no chart {what!r}; there are {', '.join(_CHARTS)}")
    builds = _builds(services)
    manifest = await run_blocking(services, builds.manifest, await run_blocking(services, builds.find, kind, build_id))
    counts = {name: float(count) for name, count in getattr(manifest.counts, _CHARTS[what]).items()}
    measure = "candidates taken out" if what == "gate" else "samples"
    return await chart_answer(request, site, counts_chart(counts, what=measure), said=f"{measure} by {what}", png=png)


@router.get("/{kind}/{build_id}/files/{name:path}")
async def ui_corpus_build_file(
    services: ServicesDep, principal: ReadDep, kind: Kind, build_id: BuildId, name: str
) -> Response:
    """A file of a build, as it streams from the store; never shown in place."""
    builds = _builds(services)
    build = await run_blocking(services, builds.find, kind, build_id)
    manifest = await run_blocking(services, builds.manifest, build)
    if name not in {file.name for file in manifest.files}:
        raise NotFound(f"the build has no file {name[:80]!r}")
    answer = await get_object(services=services, principal=principal, key=f"{build.prefix}{name}")
    answer.headers["Content-Disposition"] = f'attachment; filename="{build_id[:8]}-{name.replace("/", "-")}"'
    answer.headers["Content-Security-Policy"] = CSP
    return answer


def _builds(services: Services) -> StoredBuilds:
    return StoredBuilds(services.objects, services.work_dir / "builds")
