"""The SQL workbench: a statement, its answer page by page, a chart of it, and the whole as a file.

Belongs here: the page and its parts. Not here: SQL (see ../routes/sql.py), kept answers (see results.py), charts (see
chart_documents.py). The history of statements stays in the browser: they may name people.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import PlainTextResponse, Response

from lakehouse.errors import BadInput
from lakehouse.query.request import SqlRequest
from lakehouse_api.dependencies import ReadDep, ServicesDep, run_blocking
from lakehouse_api.routes.sql import audited, stream_answer
from lakehouse_api.ui.answers import asked_sql
from lakehouse_api.ui.chart_documents import MARKS, rows_chart
from lakehouse_api.ui.charts import chart_answer
from lakehouse_api.ui.dependencies import FormDep, SiteDep, field, is_part
from lakehouse_api.ui.formats import text_of
from lakehouse_api.ui.rendering import HEADERS, render_page
from lakehouse_api.ui.results import read_cell, read_rows

router = APIRouter(prefix="/ui/sql", include_in_schema=False)
PAGE_ROWS = 100
_CHART_ROWS = 5000
_FILES = {"csv": "csv", "arrow": "arrows"}
Number = Annotated[int, Query(ge=0, le=10**9)]
ResultId = Annotated[str, Path(max_length=64)]


@router.get("")
async def ui_sql(
    request: Request, services: ServicesDep, _: ReadDep, sql: Annotated[str, Query(max_length=100_000)] = ""
) -> Response:
    """The workbench; `sql` of the address is filled in, and asked by whoever wants it asked."""
    names = sorted(services.watcher.current().manifests)
    return render_page(request.scope, "sql.html", sql=sql, names=names)


@router.post("")
async def ui_sql_run(
    request: Request, services: ServicesDep, site: SiteDep, principal: ReadDep, form: FormDep
) -> Response:
    """Ask, keep the answer, show its first page."""
    sql, most = field(form, "sql"), site.settings.ui_result_rows
    asked = asked_sql(request, services, SqlRequest(sql, "arrow", most + 1))
    begun = time.perf_counter()
    async with audited(asked) as said, AsyncExitStack() as opened:
        context = await asked.context()
        chunks = await opened.enter_async_context(services.sql.stream(asked.request, **context))
        result = await site.results.keep(chunks, sql=sql, owner=principal.name, most_rows=most)
        result.elapsed_ms = (time.perf_counter() - begun) * 1000
        said["rows"] = result.rows
    target = f"{request.scope.get('root_path', '')}/ui/sql/answers/{result.id}"
    if is_part(request):
        answer = await ui_sql_answer(request, services, site, principal, result.id)
        answer.headers["HX-Push-Url"] = target
        return answer
    return Response(status_code=303, headers={"Location": target})


@router.get("/answers/{result_id}")
async def ui_sql_answer(  # noqa: PLR0917 - FastAPI passes all by name
    request: Request, services: ServicesDep, site: SiteDep, principal: ReadDep, result_id: ResultId, start: Number = 0
) -> Response:
    """A page of a kept answer."""
    result = site.results.get(result_id, owner=principal.name)
    rows = await run_blocking(services, read_rows, result, start=start, count=PAGE_ROWS)
    names = sorted(services.watcher.current().manifests)
    return render_page(
        request.scope, "_answer.html" if is_part(request) else "sql.html",
        sql=result.sql, names=names, result=result, rows=rows, start=start, page=PAGE_ROWS, marks=MARKS,
    )  # fmt: skip


@router.get("/answers/{result_id}/cell")
async def ui_sql_cell(  # noqa: PLR0917 - FastAPI passes all by name
    services: ServicesDep, site: SiteDep, principal: ReadDep, result_id: ResultId, row: Number, column: Number
) -> Response:
    """One value, whole, as text and nothing else."""
    result = site.results.get(result_id, owner=principal.name)
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
    result = site.results.get(result_id, owner=principal.name)
    names = [name for name, _ in result.columns]
    for name in (x, y, *([colour] if colour else [])):
        if name not in names:
            raise BadInput(f"the answer has no column {name[:60]!r}; it has {', '.join(names)[:300]}", field="column")
    rows = await run_blocking(services, read_rows, result, start=0, count=_CHART_ROWS)
    places = {name: names.index(name) for name in (x, y, colour) if name}
    values = [{name: row[place] for name, place in places.items()} for row in rows]
    chart = rows_chart(values, dict(result.columns), x=x, y=y, mark=mark, colour=colour or None)
    said = f"{y} by {x}, {len(values):,} rows" + (f" of {result.rows:,}" if result.rows > len(values) else "")
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
