"""Datasets: the catalog, one dataset with its schema, versions and their differences, and a sample of its rows.

Belongs here: these pages. Not here: uploading (see upload.py), the SQL workbench (see sql_page.py), the catalog (see
lakehouse/catalog).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from lakehouse.catalog.manifest import Column
from lakehouse.errors import NotFound
from lakehouse.ingest.options import IngestOptions
from lakehouse.query.quoting import quote_name
from lakehouse.query.request import SqlRequest
from lakehouse_api.answering_store import ANSWERING_STORE
from lakehouse_api.dependencies import ReadDep, ServicesDep, fresh_snapshot, run_blocking
from lakehouse_api.ui.answers import ask_sql
from lakehouse_api.ui.dependencies import SiteDep
from lakehouse_api.ui.formats import CELL_CHARACTERS
from lakehouse_api.ui.job_pages import recent_jobs
from lakehouse_api.ui.rendering import render_page
from lakehouse_api.ui.version_diff import diff_versions

router = APIRouter(prefix="/ui/datasets", include_in_schema=False)
_PAGE = 50
_ENCODINGS = {
    "utf-8": "most files",
    "utf-16": "some exports of Windows programs",
    "cp1252": "Windows, Western Europe",
    "latin-1": "ISO 8859-1, Western Europe",
    "iso8859-15": "Western Europe with the euro",
    "cp1250": "Windows, Central Europe",
    "cp1251": "Windows, Cyrillic",
    "cp1253": "Windows, Greek",
    "cp1254": "Windows, Turkish",
    "cp850": "DOS, Western Europe",
    "mac-roman": "old Macs",
    "shift_jis": "Japanese",
    "gb18030": "Chinese",
    "big5": "Chinese, traditional",
    "euc_kr": "Korean",
}
_MOST_VERSIONS = 100


@router.get("")
async def ui_datasets(request: Request, services: ServicesDep, site: SiteDep, principal: ReadDep) -> Response:
    """What there is, and the form that makes more of it."""
    snapshot = await fresh_snapshot(services)
    return render_page(
        request.scope,
        "datasets.html",
        datasets=sorted(snapshot.manifests.values(), key=lambda one: one.name),
        broken=dict(snapshot.broken),
        encodings=_ENCODINGS,
        default_encoding=IngestOptions().encoding,
        may_write="write" in principal.scopes,
        jobs=await recent_jobs(services, site, principal, "datasets"),
    )


@router.get("/of/{name}", dependencies=[ANSWERING_STORE])
async def ui_dataset(
    request: Request,
    services: ServicesDep,
    _: ReadDep,
    name: str,
    a: Annotated[int | None, Query(ge=1, le=2**31)] = None,
    b: Annotated[int | None, Query(ge=1, le=2**31)] = None,
) -> Response:
    """One dataset; `a` and `b` are versions that are compared."""
    versions = (await run_blocking(services, services.catalog.versions, name))[:_MOST_VERSIONS]
    by_number = {one.version: one for one in versions}
    diff = None
    if a in by_number and b in by_number and a != b:
        diff = diff_versions(by_number[a], by_number[b])
    live = (await fresh_snapshot(services)).manifests.get(name)
    return render_page(
        request.scope, "dataset.html", name=name, live=live, shown=live or versions[0], versions=versions, diff=diff,
        a=a, b=b, statement=f"SELECT * FROM {quote_name(name)} LIMIT 1000",
    )  # fmt: skip


@router.get("/of/{name}/rows")
async def ui_dataset_rows(
    request: Request, services: ServicesDep, _: ReadDep, name: str, start: Annotated[int, Query(ge=0, le=10**9)] = 0
) -> Response:
    """Some rows; whoever wants all of them takes them by SQL."""
    live = (await fresh_snapshot(services)).manifests.get(name)
    if live is None:
        raise NotFound(f"there is no dataset {name[:63]!r}; the page Datasets lists those there are")
    # Texts are cut where the page would cut them: fifty cells of a megabyte are not fetched for their beginnings.
    columns = ", ".join(_shown(column) for column in live.columns)
    statement = f"SELECT {columns} FROM {quote_name(name)} LIMIT {_PAGE + 1} OFFSET {start}"
    answer = await ask_sql(request, services, SqlRequest(statement, "json", _PAGE + 1, None))
    return render_page(
        request.scope, "_rows.html", name=name, columns=answer.columns, rows=answer.rows[:_PAGE], start=start,
        has_more=len(answer.rows) > _PAGE, page=_PAGE,
    )  # fmt: skip


def _shown(column: Column) -> str:
    quoted = quote_name(column.name)
    return f"left({quoted}, {CELL_CHARACTERS + 1}) AS {quoted}" if column.type == "VARCHAR" else quoted
