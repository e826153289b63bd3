"""Memory: pathways with their history, playbooks with their weight over time; retiring the one, forgetting the other.

Belongs here: these pages. Not here: traces (see lakehouse/pathway), playbooks (see lakehouse/retrieval), their routes
(see ../routes/pathway.py, ../routes/matrix.py), which do what is asked here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from lakehouse.clock import utc_now
from lakehouse.counted import counted
from lakehouse.errors import NotFound
from lakehouse.pathway.history import history_of
from lakehouse.retrieval.playbook_entry import Evidence, PlaybookEntry
from lakehouse.retrieval.playbook_scoring import Judgement, worth_of
from lakehouse_api.dependencies import ReadDep, ServicesDep, WriteDep, run_blocking
from lakehouse_api.routes.matrix import delete_playbook
from lakehouse_api.services import Services
from lakehouse_api.ui.chart_documents import series_chart
from lakehouse_api.ui.charts import chart_answer
from lakehouse_api.ui.dependencies import FormDep, SiteDep, answer_of, field
from lakehouse_api.ui.rendering import render_page

router = APIRouter(prefix="/ui/memory", include_in_schema=False)
_PAGE = 50
_MOST_POINTS = 200
Start = Annotated[int, Query(ge=0, le=10**9)]
Id = Annotated[str, Path(max_length=100)]


@router.get("")
async def ui_memory(  # noqa: PLR0917 - FastAPI passes all by name
    request: Request,
    services: ServicesDep,
    principal: ReadDep,
    text: Annotated[str, Query(max_length=65_536)] = "",
    retired: Annotated[bool, Query()] = False,
    start: Start = 0,
) -> Response:
    """What is remembered: pathways by search or the newest, and playbooks, the newest first."""
    services.retrieval.require_memory()
    services.pathways.require_memory()
    found: dict[str, Any] = {"results": []}
    if principal.has_pii:
        wanted = {"text": text.strip() or None, "k": _PAGE, "include_retired": retired}
        found = await answer_of(request, services, "/v1/pathway/search", wanted)
    book = services.retrieval.book
    entries = book.entries()
    entries.reverse()
    shown = [(entry, book.evidence_of(entry)) for entry in entries[start : start + _PAGE]]
    now, half_life = utc_now(), services.live_configs.search.config.playbook.half_life_days
    return render_page(
        request.scope, "memory.html",
        text=text, retired=retired, pathways=found["results"],
        stats=await run_blocking(services, services.pathways.stats),
        playbooks=[(entry, judged, _weight(judged, now, half_life)) for entry, judged in shown],
        start=start, page=_PAGE, total=len(entries),
    )  # fmt: skip


@router.get("/pathways/{uid}")
async def ui_pathway(request: Request, services: ServicesDep, principal: ReadDep, uid: Id) -> Response:
    """A trace, what it revises, and all that was said of them."""
    principal.require("pii")
    services.pathways.require_memory()
    trace = services.pathways.desk.require(uid)
    book = services.pathways.book
    return render_page(
        request.scope, "pathway.html", trace=trace, history=history_of(book, trace), successors=book.successors(uid),
        may_write="write" in principal.scopes,
    )  # fmt: skip


@router.post("/pathways/{uid}/retire")
async def ui_pathway_retire(request: Request, services: ServicesDep, uid: Id, form: FormDep) -> Response:
    """Take a trace out of searches, with the reason."""
    await answer_of(request, services, "/v1/pathway/retire", {"uid": uid, "reason": field(form, "reason")})
    return RedirectResponse(f"{request.scope.get('root_path', '')}/ui/memory/pathways/{uid}", 303)


@router.get("/playbooks/{playbook_id}")
async def ui_playbook(request: Request, services: ServicesDep, principal: ReadDep, playbook_id: Id) -> Response:
    """An entry with the judgements behind it."""
    entry, evidence = _entry(services, playbook_id)
    half_life = services.live_configs.search.config.playbook.half_life_days
    return render_page(
        request.scope, "playbook.html", entry=entry, evidence=evidence, weight=_weight(evidence, utc_now(), half_life),
        half_life=half_life, may_write="write" in principal.scopes,
    )  # fmt: skip


@router.get("/playbooks/{playbook_id}/chart")
async def ui_playbook_chart(
    request: Request,
    services: ServicesDep,
    site: SiteDep,
    _: ReadDep,
    playbook_id: Id,
    png: Annotated[bool, Query()] = False,
) -> Response:
    """Its weight from the first judgement to now: what each added, and how it fades."""
    evidence = _entry(services, playbook_id)[1]
    half_life = services.live_configs.search.config.playbook.half_life_days
    points = weights_over_time(evidence, now=utc_now(), half_life_days=half_life)
    chart = series_chart([(at.isoformat(), weight, "weight") for at, weight in points], what="weight")
    days = "day" if half_life == 1 else "days"
    said = f"weight over time, {counted(len(evidence), 'judgement')}, half-life {half_life:g} {days}"
    return await chart_answer(request, site, chart, said=said, png=png)


@router.post("/playbooks/{playbook_id}/judge")
async def ui_playbook_judge(request: Request, services: ServicesDep, playbook_id: Id, form: FormDep) -> Response:
    """One more judgement of an entry."""
    judged = {"playbook_id": playbook_id, "score": 1.0 if field(form, "verdict") == "up" else -1.0}
    await answer_of(request, services, "/v1/matrix/playbooks/feedback", judged)
    return RedirectResponse(f"{request.scope.get('root_path', '')}/ui/memory/playbooks/{playbook_id}", 303)


@router.post("/playbooks/{playbook_id}/forget")
async def ui_playbook_forget(
    request: Request, services: ServicesDep, principal: WriteDep, playbook_id: Id, _: FormDep
) -> Response:
    """Forget an entry, for good."""
    await delete_playbook(request, services, principal, playbook_id)
    return RedirectResponse(f"{request.scope.get('root_path', '')}/ui/memory", 303)


def weights_over_time(
    evidence: Sequence[Evidence], *, now: datetime, half_life_days: float
) -> list[tuple[datetime, float]]:
    """The weight at each judgement and at even steps between the first and now.

    Args:
        evidence: The judgements.
        now: The end.
        half_life_days: How fast they fade.
    """
    ordered = sorted(evidence, key=lambda one: (one.at, one.order))[-_MOST_POINTS:]
    if not ordered:
        return []
    first, steps = ordered[0].at, 24
    between = [first + (now - first) * step / steps for step in range(1, steps + 1)]
    moments = sorted({*(one.at for one in ordered), *between, now})
    return [
        (moment, _weight([one for one in ordered if one.at <= moment], moment, half_life_days)) for moment in moments
    ]


def _weight(evidence: Sequence[Evidence], now: datetime, half_life_days: float) -> float:
    day = timedelta(days=1)
    judged = (Judgement(one.source, one.score, (now - one.at) / day) for one in evidence)
    return worth_of(judged, half_life_days=half_life_days)


def _entry(services: Services, playbook_id: str) -> tuple[PlaybookEntry, Sequence[Evidence]]:
    services.retrieval.require_memory()
    entry = services.retrieval.book.get(playbook_id)
    if entry is None:
        raise NotFound(f"there is no playbook entry {playbook_id[:60]!r}; it may have been forgotten, or merged")
    return entry, services.retrieval.book.evidence_of(entry)
