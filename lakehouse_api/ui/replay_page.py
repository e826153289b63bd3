"""Replay: batches with their arms side by side, intervals, and verdicts.

Belongs here: these pages. Not here: beginning one (see replay_form.py), replaying and judging (see
lakehouse/replay).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from lakehouse.adapters.replay_store import ReplayStore
from lakehouse.errors import NotFound
from lakehouse.query.quoting import quote_text
from lakehouse.query.request import SqlRequest
from lakehouse.replay.arms import default_arms
from lakehouse_api.answering_store import ANSWERING_STORE
from lakehouse_api.dependencies import ReadDep, ServicesDep, run_blocking
from lakehouse_api.ui.answers import ask_sql
from lakehouse_api.ui.chart_documents import chart
from lakehouse_api.ui.charts import chart_answer
from lakehouse_api.ui.dependencies import SiteDep, is_part
from lakehouse_api.ui.job_pages import recent_jobs
from lakehouse_api.ui.rendering import render_page

router = APIRouter(prefix="/ui/replay", include_in_schema=False, dependencies=[ANSWERING_STORE])
_MOST_BATCHES = 100
_PAGE = 40
_VERDICT = "verdict.json"
_LEAST_REACH = 0.1
BatchId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


@router.get("")
async def ui_replay(request: Request, services: ServicesDep, site: SiteDep, principal: ReadDep) -> Response:
    """All batches with their verdicts, and the form that begins one."""
    batches = await run_blocking(services, _batches, ReplayStore(services.objects))
    return render_page(
        request.scope, "replay.html", batches=batches, arms=default_arms(), may_write="write" in principal.scopes,
        jobs=await recent_jobs(services, site, principal, "replay"),
    )  # fmt: skip


@router.get("/{batch_id}")
async def ui_replay_batch(
    request: Request,
    services: ServicesDep,
    principal: ReadDep,
    batch_id: BatchId,
    start: Annotated[int, Query(ge=0, le=10**7)] = 0,
) -> Response:
    """One batch: arms compared, the rule that decided, its rows."""
    store = ReplayStore(services.objects)
    batch = await run_blocking(services, store.read, batch_id)
    statement = (
        "SELECT task_id, arm, question, answer, expected, match, validation, latency_ms, cost_usd, error"
        f" FROM replay_runs WHERE batch_id = {quote_text(batch_id)}"
        f" ORDER BY task_id, arm LIMIT {_PAGE + 1} OFFSET {start}"
    )
    rows = (await ask_sql(request, services, SqlRequest(statement))).records()
    context: dict[str, Any] = {
        "batch": batch, "rows": rows[:_PAGE], "start": start,
        "page": _PAGE, "has_more": len(rows) > _PAGE, "may_write": "write" in principal.scopes,
    }  # fmt: skip
    if is_part(request):
        return render_page(request.scope, "_replay_rows.html", **context)
    done = len(await run_blocking(services, store.done, batch_id))
    verdict = await run_blocking(services, store.document, batch_id, _VERDICT)
    return render_page(
        request.scope, "replay_batch.html", verdict=verdict, done=done, units=sum(1 for _ in batch.units()), **context
    )


@router.get("/{batch_id}/chart")
async def ui_replay_chart(
    *,
    request: Request,
    services: ServicesDep,
    site: SiteDep,
    _: ReadDep,
    batch_id: BatchId,
    png: Annotated[bool, Query()] = False,
) -> Response:
    """The arms against the baseline, with their intervals."""
    store = ReplayStore(services.objects)
    document = await run_blocking(services, store.document, batch_id, _VERDICT)
    if document is None:
        raise NotFound(f"the batch {batch_id!r} has no verdict yet")
    said = f"difference to {document['baseline']}, 95 % intervals"
    return await chart_answer(request, site, intervals_chart(document), said=said, png=png)


def intervals_chart(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Each arm's difference to the baseline with its interval, and where there is none."""
    values = list(_intervals(verdict))
    y = {"field": "arm", "type": "nominal", "title": None}
    ends = [0.0, *(one[key] for one in values for key in ("low", "high") if key in one)]
    # Around 0, and never so narrow that a difference of nothing has no axis.
    domain = [min(*ends, -_LEAST_REACH), max(*ends, _LEAST_REACH)]
    title = f"difference ({verdict['measure']})"
    low = {"field": "low", "type": "quantitative", "title": title, "scale": {"domain": domain}}
    layers = [
        {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": {"y": y, "x": low, "x2": {"field": "high"}}},
        {"mark": {"type": "point", "filled": True, "size": 90}, "encoding": {"y": y, "x": {**low, "field": "mean"}}},
        {"mark": {"type": "rule", "strokeDash": [4, 4], "aria": False}, "encoding": {"x": {"datum": 0}}},
    ]
    document = chart(values, {"type": "rule"}, {})
    del document["mark"], document["encoding"]
    return {**document, "layer": layers, "height": max(60, 40 * len(values))}


def _intervals(verdict: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for one in verdict["comparisons"]:
        interval = one.get("interval")
        if interval is not None:
            yield {
                "arm": one["candidate"],
                **{key: interval[key] for key in ("low", "mean", "high") if key in interval},
            }


def _batches(store: ReplayStore) -> list[dict[str, Any]]:
    return [
        {"batch_id": batch_id, "verdict": store.document(batch_id, _VERDICT)}
        for batch_id in reversed(store.batches()[-_MOST_BATCHES:])
    ]
