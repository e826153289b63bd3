"""Drift: where each kind stands, its numbers over time, and the word of somebody that opens the gate.

Belongs here: these pages. Not here: comparing (see lakehouse/drift), the routes (see ../routes/drift.py), what charts
of a report show (see lakehouse/drift/charts.py).
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from lakehouse.adapters.drift_desk import DriftDesk
from lakehouse.counted import counted
from lakehouse.drift.charts import charts_of
from lakehouse.drift.finding import KINDS, Kind
from lakehouse.drift.freeze import told
from lakehouse.drift.report import DriftReport
from lakehouse.errors import NotFound
from lakehouse_api.answering_store import ANSWERING_STORE
from lakehouse_api.dependencies import AdminDep, ReadDep, ServicesDep, run_blocking
from lakehouse_api.routes.drift import acknowledge_drift
from lakehouse_api.schemas.drift import AcknowledgeDrift
from lakehouse_api.ui.chart_documents import NothingToDraw, series_chart
from lakehouse_api.ui.charts import chart_answer
from lakehouse_api.ui.dependencies import FormDep, SiteDep, field, read_model
from lakehouse_api.ui.rendering import render_page

router = APIRouter(prefix="/ui/drift", include_in_schema=False, dependencies=[ANSWERING_STORE])
_MOST_REPORTS = 60
_OVER_TIME = "over-time"
Day = Annotated[date | None, Query()]
KindName = Annotated[str, Path(max_length=40)]


@router.get("")
async def ui_drift(request: Request, services: ServicesDep, _: ReadDep) -> Response:
    """Every kind at a glance."""
    states = [await run_blocking(services, services.drift.state, kind) for kind in KINDS]
    return render_page(
        request.scope, "drift.html", states=states, is_frozen=any(one.open is not None for one in states)
    )


@router.get("/{kind}")
async def ui_drift_kind(
    request: Request, services: ServicesDep, principal: ReadDep, kind: KindName, day: Day = None
) -> Response:
    """One kind: a report, its charts, what was acknowledged; the days that have reports."""
    state = await run_blocking(services, services.drift.state, _kind(kind))
    shown = state.latest if day is None else await run_blocking(services, _report, services.drift, _kind(kind), day)
    days = await run_blocking(services, _recent, services.drift, _kind(kind))
    return render_page(
        request.scope, "drift_kind.html", state=state, shown=shown, days=days[::-1], over_time=_OVER_TIME,
        charts=[] if shown is None else sorted(charts_of(shown, services.drift.rules)),
        confirmed=[] if state.open is None else sorted({told(mark) for mark in state.open.findings}),
        may_acknowledge="admin" in principal.scopes, alpha=services.drift.rules.alpha,
    )  # fmt: skip


@router.get("/{kind}/chart/{name}")
async def ui_drift_chart(
    *,
    request: Request,
    services: ServicesDep,
    site: SiteDep,
    _: ReadDep,
    kind: KindName,
    name: Annotated[str, Path(max_length=100)],
    day: Day = None,
    png: Annotated[bool, Query()] = False,
) -> Response:
    """A chart of a report, the latest where no day is named, or the effects of all days."""
    desk = services.drift
    if name == _OVER_TIME:
        reports = await run_blocking(services, _recent, desk, _kind(kind))
        found = [(report.day, one) for report in reports for one in report.findings if one.effect is not None]
        points = [(day.isoformat(), float(one.effect or 0), one.name) for day, one in found]
        try:
            chart = series_chart(points, what="effect against the baseline", groups=[one.group for _, one in found])
        except NothingToDraw as nothing:
            return render_page(request.scope, "_empty.html", said=nothing.detail)
        return await chart_answer(
            request, site, chart, said=f"effects of {kind} over {counted(len(reports), 'day')}", png=png
        )
    report = await run_blocking(services, _report, desk, _kind(kind), day)
    charts = charts_of(report, desk.rules)
    if name not in charts:
        raise NotFound(f"the report of {kind} on {report.day} has no chart {name[:40]!r}")
    return await chart_answer(request, site, charts[name], said=f"{name} of {kind}, {report.day}", png=png)


@router.post("/{kind}/acknowledge")
async def ui_drift_acknowledge(
    request: Request, services: ServicesDep, principal: AdminDep, kind: KindName, form: FormDep
) -> Response:
    """Somebody knows of it, and says why corpora may be built all the same."""
    body = read_model(AcknowledgeDrift, why=field(form, "why"))
    await acknowledge_drift(request, services, principal, _kind(kind), body)
    return RedirectResponse(f"{request.scope.get('root_path', '')}/ui/drift/{kind}", 303)


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise NotFound(f"there is no kind of drift {name[:40]!r}; there are {', '.join(KINDS)}")
    return name


def _report(desk: DriftDesk, kind: Kind, day: date | None) -> DriftReport:
    report = desk.reports.latest(kind) if day is None else desk.reports.read(kind, day)
    if report is None:
        raise NotFound(
            f"there is no report of {kind}{'' if day is None else f' on {day}'}; the page of the kind lists those"
        )
    return report


def _recent(desk: DriftDesk, kind: Kind) -> list[DriftReport]:
    latest = desk.reports.latest(kind)
    if latest is None:
        return []
    before = latest.day + timedelta(days=1)
    return sorted(desk.reports.recent(kind, before, most_days=_MOST_REPORTS), key=lambda report: report.day)
