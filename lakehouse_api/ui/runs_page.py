"""Runs: the evidence explorer. Filters over what is scored, one run whole, its lineage as a graph.

Belongs here: the pages and the statements behind them. Not here: SQL's rules (see ../routes/sql.py), lineage (see
../lineage.py), where nodes of the graph stand (see lineage_graph.py).
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from lakehouse.lineage.reference import MAX_CHARACTERS, read_reference
from lakehouse.query.quoting import quote_text
from lakehouse.query.request import SqlRequest
from lakehouse_api.dependencies import ReadDep, ServicesDep
from lakehouse_api.services import Services
from lakehouse_api.ui.answers import ask_sql
from lakehouse_api.ui.chart_documents import chart
from lakehouse_api.ui.charts import chart_answer
from lakehouse_api.ui.dependencies import SiteDep, is_part
from lakehouse_api.ui.lineage_graph import graph_of
from lakehouse_api.ui.rendering import render_page
from lakehouse_api.ui.runs_trend import trend_chart, trend_statement

router = APIRouter(prefix="/ui/runs", include_in_schema=False)
_PAGE = 50
_MOST_VALUES = 40
_MOST_CHARACTERS = 200_000
_RECORD = (
    "* REPLACE ("
    + ", ".join(f"left({name}, {_MOST_CHARACTERS}) AS {name}" for name in ("input_text", "output_text", "metadata"))
    + ")"
)
_FIELDS = ("stream", "model_name", "score", "rule")
Text = Annotated[str, Query(max_length=500)]
Day = Annotated[str, Query(pattern=r"^(\d{4}-\d{2}-\d{2})?$")]
Id = Annotated[str, Query(alias="id", min_length=1, max_length=MAX_CHARACTERS)]


@dataclass(frozen=True, slots=True)
class RunFilters:
    """The filters of an address: a value for each field of `_FIELDS` or none, part of an id, the first and last day."""

    stream: Text = ""
    model_name: Text = ""
    score: Text = ""
    rule: Text = ""
    find: Text = ""
    since: Day = ""
    until: Day = ""

    @property
    def chosen(self) -> dict[str, str]:
        """The value of each field; empty where none is chosen."""
        return {"stream": self.stream, "model_name": self.model_name, "score": self.score, "rule": self.rule}

    def where(self, *, but: str = "") -> str:
        """The condition of the filters, without that of the field `but`; all values are quoted."""
        parts = [f"{name} = {quote_text(value)}" for name, value in self.chosen.items() if value and name != but]
        if self.find.strip():
            wanted = quote_text(self.find.strip())
            parts.append(f"(contains(run_id, {wanted}) OR contains(coalesce(task_id, ''), {wanted}))")
        if self.since:
            parts.append(f"dt >= {quote_text(self.since)}::DATE")
        if self.until:
            parts.append(f"dt <= {quote_text(self.until)}::DATE")
        return " AND ".join(parts) or "true"


Filters = Annotated[RunFilters, Depends()]


@router.get("")
async def ui_runs(
    request: Request,
    services: ServicesDep,
    _: ReadDep,
    filters: Filters,
    start: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> Response:
    """The runs that pass the filters, the newest first."""
    statement = (
        "SELECT run_id, task_id, stream, timestamp, model_name, score, rule, reasons, count(*) OVER () AS total"
        f" FROM scored WHERE {filters.where()} ORDER BY timestamp DESC, run_id LIMIT {_PAGE} OFFSET {start}"
    )
    found, facets = await asyncio.gather(_ask(request, services, statement), _facets(request, services, filters))
    return render_page(
        request.scope, "_runs_part.html" if is_part(request) else "runs.html",
        runs=found, facets=facets, chosen=filters.chosen, find=filters.find, since=filters.since, until=filters.until,
        start=start, page=_PAGE, total=found[0]["total"] if found else 0, fields=asdict(filters),
    )  # fmt: skip


@router.get("/chart")
async def ui_runs_chart(
    request: Request,
    services: ServicesDep,
    site: SiteDep,
    _: ReadDep,
    filters: Filters,
    png: Annotated[bool, Query()] = False,
) -> Response:
    """Runs by model and score."""
    statement = (
        f"SELECT coalesce(model_name, '(none)') AS model, score, count(*) AS runs FROM scored WHERE {filters.where()}"
        " GROUP BY ALL ORDER BY runs DESC, model, score LIMIT 200"
    )
    rows = await _ask(request, services, statement)
    encoding = {
        "y": {"field": "model", "type": "nominal", "title": None, "sort": "-x"},
        "x": {"field": "runs", "type": "quantitative", "title": "runs", "stack": "zero"},
        "color": {"field": "score", "type": "nominal", "title": "score"},
    }
    document = {**chart(rows, {"type": "bar"}, encoding), "height": max(80, 24 * len({row["model"] for row in rows}))}
    return await chart_answer(request, site, document, said="runs by model and score", png=png)


@router.get("/trend")
async def ui_runs_trend(
    request: Request,
    services: ServicesDep,
    site: SiteDep,
    _: ReadDep,
    filters: Filters,
    png: Annotated[bool, Query()] = False,
) -> Response:
    """The share of accepted runs over time."""
    document, said = trend_chart(await _ask(request, services, trend_statement(filters.where())))
    return await chart_answer(request, site, document, said=said, png=png)


@router.get("/one")
async def ui_run(request: Request, services: ServicesDep, principal: ReadDep, run_id: Id) -> Response:
    """One run, whole."""
    quoted = quote_text(run_id)
    scored = await _ask(request, services, f"SELECT * FROM scored WHERE run_id = {quoted} LIMIT 20")
    records: list[dict[str, Any]] = []
    if principal.has_pii:
        records = await _ask(request, services, f"SELECT {_RECORD} FROM evidence WHERE run_id = {quoted} LIMIT 20")
    return render_page(request.scope, "run.html", run_id=run_id, scored=scored, records=records)


@router.get("/lineage")
async def ui_run_lineage(request: Request, services: ServicesDep, _: ReadDep, run_id: Id) -> Response:
    """From a run to its raw line and onward to the corpora that hold it; also of a sample, a chunk or a raw line."""
    found = await services.lineage.find(read_reference(run_id))
    template = "_lineage.html" if is_part(request) else "lineage.html"
    return render_page(request.scope, template, run_id=run_id, lineage=found, graph=graph_of(found))


async def _facets(request: Request, services: Services, filters: RunFilters) -> dict[str, list[tuple[str, int]]]:
    """The values of each field with their counts, each under the filters of the other fields."""
    parts = [
        f"SELECT * FROM (SELECT '{name}' AS field, {name}::VARCHAR AS value, count(*) AS runs FROM scored"
        f" WHERE {name} IS NOT NULL AND {filters.where(but=name)}"
        f" GROUP BY ALL ORDER BY runs DESC, value LIMIT {_MOST_VALUES})"
        for name in _FIELDS
    ]
    facets: dict[str, list[tuple[str, int]]] = {name: [] for name in _FIELDS}
    for row in await _ask(request, services, f"{' UNION ALL '.join(parts)} ORDER BY field, runs DESC, value"):
        if row["value"]:
            facets[row["field"]].append((row["value"], int(row["runs"])))
    for name, value in filters.chosen.items():  # a chosen value is always shown, even when no run has it
        if value and value not in dict(facets[name]):
            facets[name].append((value, 0))
    return facets


async def _ask(request: Request, services: Services, statement: str) -> list[dict[str, Any]]:
    return (await ask_sql(request, services, SqlRequest(statement))).records()
