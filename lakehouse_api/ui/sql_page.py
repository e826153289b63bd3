"""The SQL workbench: a statement, its answer page by page, a chart of it, and the whole as a file.

Belongs here: the page and its parts. Not here: SQL (see ../routes/sql.py), kept answers (see results.py), what was run
before (see history.py), charts (see chart_documents.py).
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from lakehouse.counted import counted
from lakehouse.errors import BadInput, LakehouseError, NotFound
from lakehouse.query.request import SqlRequest
from lakehouse_api.dependencies import ReadDep, ServicesDep, run_blocking
from lakehouse_api.disconnect import while_connected
from lakehouse_api.routes.sql import AskedSql, audited, stream_answer
from lakehouse_api.ui.answers import asked_sql
from lakehouse_api.ui.chart_documents import MARKS, NothingToDraw, rows_chart
from lakehouse_api.ui.charts import chart_answer
from lakehouse_api.ui.dependencies import FormDep, SiteDep, field, is_part
from lakehouse_api.ui.formats import text_of
from lakehouse_api.ui.rendering import HEADERS, render_page
from lakehouse_api.ui.result_rows import read_cell, read_rows

if TYPE_CHECKING:
    from lakehouse_api.auth import Principal
    from lakehouse_api.services import Services
    from lakehouse_api.ui.results import Result
    from lakehouse_api.ui.site import Site

router = APIRouter(prefix="/ui/sql", include_in_schema=False)
PAGE_ROWS = 100
_CHART_ROWS = 5000
_FILES = {"csv": "csv", "arrow": "arrows"}
Number = Annotated[int, Query(ge=0, le=10**9)]
ResultId = Annotated[str, Path(max_length=64)]


@router.get("")
async def ui_sql(
    request: Request,
    services: ServicesDep,
    site: SiteDep,
    principal: ReadDep,
    sql: Annotated[str, Query(max_length=100_000)] = "",
) -> Response:
    """The workbench; `sql` of the address is filled in, and asked by whoever wants it asked."""
    return await _workbench(request, services, site, principal, sql=sql)


@router.get("/history/{ran_id}")
async def ui_sql_history(
    request: Request, services: ServicesDep, site: SiteDep, principal: ReadDep, ran_id: ResultId
) -> Response:
    """The workbench with a statement that was run before; no address names it, since it may name people."""
    for one in await run_blocking(services, site.history.of, principal.name):
        if one.id == ran_id:
            return await _workbench(request, services, site, principal, sql=one.sql)
    raise NotFound("this statement is not remembered any longer; the page SQL lists those that are")


@router.post("/forget")
async def ui_sql_forget(
    request: Request, services: ServicesDep, site: SiteDep, principal: ReadDep, _: FormDep
) -> Response:
    """Forget what this person ran, and the answers."""
    await run_blocking(services, site.history.forget, principal.name)
    await run_blocking(services, site.results.forget, principal.name)
    return RedirectResponse(f"{request.scope.get('root_path', '')}/ui/sql", 303)


@router.post("")
async def ui_sql_run(
    request: Request, services: ServicesDep, site: SiteDep, principal: ReadDep, form: FormDep
) -> Response:
    """Ask, keep the answer, show its first page; whoever leaves, or cancels, ends the query."""
    sql = field(form, "sql")
    remember = partial(run_blocking, services, partial(site.history.add, principal.name, sql))
    asked = asked_sql(request, services, SqlRequest(sql, "arrow", site.settings.ui_result_rows + 1))
    try:
        async with audited(asked) as said:
            result = await while_connected(request, _kept(asked, site))
            said["rows"] = result.rows
    except ClientDisconnect:
        await remember(refusal="cancelled")
        raise
    except LakehouseError as error:
        await remember(refusal=error.detail)
        raise
    await remember(rows=result.rows, elapsed_ms=result.elapsed_ms, result_id=result.id)
    target = f"{request.scope.get('root_path', '')}/ui/sql/answers/{result.id}"
    if is_part(request):
        answer = await ui_sql_answer(request, services, site, principal, result.id)
        answer.headers["HX-Push-Url"] = target
        return answer
    return Response(status_code=303, headers={"Location": target})


async def _kept(asked: AskedSql, site: Site) -> Result:
    begun_s = time.monotonic()
    context = await asked.context()
    async with asked.services.sql.stream(asked.request, **context) as chunks:
        return await site.results.keep(
            chunks, sql=asked.request.sql, owner=asked.principal.name, has_pii=asked.principal.has_pii,
            most_rows=site.settings.ui_result_rows, begun_s=begun_s,
        )  # fmt: skip


@router.get("/answers/{result_id}")
async def ui_sql_answer(  # noqa: PLR0917 - FastAPI passes all by name
    request: Request, services: ServicesDep, site: SiteDep, principal: ReadDep, result_id: ResultId, start: Number = 0
) -> Response:
    """A page of a kept answer."""
    result = await _result(services, site, principal, result_id)
    start = min(start, max(0, result.rows - 1) // PAGE_ROWS * PAGE_ROWS)
    rows = await run_blocking(services, read_rows, result, start=start, count=PAGE_ROWS)
    shown: dict[str, Any] = {"result": result, "rows": rows, "start": start, "page": PAGE_ROWS, "marks": MARKS}
    if is_part(request):
        ran = await run_blocking(services, site.history.of, principal.name)
        return render_page(request.scope, "_answer_part.html", ran=ran, **shown)
    return await _workbench(request, services, site, principal, sql=result.sql, **shown)


async def _workbench(
    request: Request, services: Services, site: Site, principal: Principal, *, sql: str, **shown: Any
) -> Response:
    names = sorted(services.watcher.current().manifests)
    ran = await run_blocking(services, site.history.of, principal.name)
    return render_page(
        request.scope, "sql.html", sql=sql, names=names, ran=ran, keep_hours=site.settings.ui_keep_hours, **shown
    )


async def _result(services: Services, site: Site, principal: Principal, result_id: str) -> Result:
    find = partial(site.results.get, result_id, owner=principal.name, has_pii=principal.has_pii)
    return await run_blocking(services, find)


@router.get("/answers/{result_id}/cell")
async def ui_sql_cell(  # noqa: PLR0917 - FastAPI passes all by name
    services: ServicesDep, site: SiteDep, principal: ReadDep, result_id: ResultId, row: Number, column: Number
) -> Response:
    """One value, whole, as text and nothing else."""
    result = await _result(services, site, principal, result_id)
    value = await run_blocking(services, read_cell, result, row=row, column=column)
    return PlainTextResponse(text_of(value), headers=HEADERS)


@router.get("/answers/{result_id}/chart")
async def ui_sql_chart(  # noqa: PLR0917 - FastAPI passes all by name
    request: Request,
    services: ServicesDep,
    site: SiteDep,
    principal: ReadDep,
    result_id: ResultId,
    x: Annotated[str, Query(max_length=1000)],
    y: Annotated[str, Query(max_length=1000)],
    mark: Annotated[str, Query(max_length=10)] = "bar",
    colour: Annotated[str, Query(max_length=1000)] = "",
    png: Annotated[bool, Query()] = False,
) -> Response:
    """A chart of the first rows of an answer."""
    result = await _result(services, site, principal, result_id)
    names = [name for name, _ in result.columns]
    for name in (x, y, *([colour] if colour else [])):
        if name not in names:
            raise BadInput(f"the answer has no column {name[:60]!r}; it has {', '.join(names)[:300]}", field="column")
    rows = await run_blocking(services, read_rows, result, start=0, count=_CHART_ROWS)
    places = {name: names.index(name) for name in (x, y, colour) if name}
    values = [{name: row[place] for name, place in places.items()} for row in rows]
    try:
        chart = rows_chart(values, dict(result.columns), x=x, y=y, mark=mark, colour=colour or None)
    except NothingToDraw as nothing:
        return render_page(request.scope, "_empty.html", said=nothing.detail)
    said = f"{y} by {x}, {counted(len(values), 'row')}" + (f" of {result.rows:,}" if result.rows > len(values) else "")
    return await chart_answer(request, site, chart, said=said, png=png)


@router.post("/download")
async def ui_sql_download(request: Request, services: ServicesDep, _: ReadDep, form: FormDep) -> Response:
    """The whole answer as a file, as it streams out."""
    kind = field(form, "format")
    if kind not in _FILES:
        raise BadInput(f"format must be csv or arrow, not {kind[:20]!r}", field="format")
    asked = asked_sql(request, services, SqlRequest(field(form, "sql"), "csv" if kind == "csv" else "arrow"))
    async with audited(asked):
        answer = await stream_answer(asked)
    answer.headers["Content-Disposition"] = f'attachment; filename="answer.{_FILES[kind]}"'
    return answer
