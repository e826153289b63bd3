"""Triage: what needs a person, worked through by keys; a decision is made on what was seen.

Belongs here: the page and its parts. Not here: the queue and decisions (see ../routes/triage.py, lakehouse/triage),
keys (see static/pages.js).
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from lakehouse.errors import BadInput, Conflict
from lakehouse_api.answering_store import ANSWERING_STORE
from lakehouse_api.dependencies import ReadDep, ServicesDep, WriteDep
from lakehouse_api.routes.triage import decide_triage_item, get_triage_item, list_triage
from lakehouse_api.schemas.triage import TriageChoice
from lakehouse_api.triage import MOST_TEXT
from lakehouse_api.ui.dependencies import FormDep, field, is_part, read_model, whole_number
from lakehouse_api.ui.rendering import render_page

router = APIRouter(prefix="/ui/triage", include_in_schema=False, dependencies=[ANSWERING_STORE])
_PAGE = 50
_CHOICES = ("accept", "edit", "reject", "assign")
_STATES = ("open", "assigned", "decided")
KINDS = ("suspected_pii", "validator_conflict", "drift", "reviewer_disagreement", "needs_review")
ItemId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


@router.get("")
async def ui_triage(  # noqa: PLR0917 - FastAPI passes all by name
    request: Request,
    services: ServicesDep,
    principal: ReadDep,
    state: Annotated[Literal["", "open", "assigned", "decided"], Query()] = "",
    kind: Annotated[str, Query(max_length=40)] = "",
    after: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The queue, the most urgent first."""
    context = await _queue(services, principal, state=state, kind=kind, after=after)
    return render_page(request.scope, "_triage.html" if is_part(request) else "triage.html", **context)


@router.get("/{item_id}")
async def ui_triage_item(request: Request, services: ServicesDep, principal: ReadDep, item_id: ItemId) -> Response:
    """One item, with what a person needs to see."""
    item = await get_triage_item(request, services, principal, item_id)
    is_alone = not is_part(request)
    template = "triage_item.html" if is_alone else "_triage_item.html"
    may_write = "write" in principal.scopes
    return render_page(request.scope, template, item=item, may_write=may_write, is_alone=is_alone, most_text=MOST_TEXT)


@router.post("/{item_id}/decision")
async def ui_triage_decide(
    request: Request, services: ServicesDep, principal: WriteDep, item_id: ItemId, form: FormDep
) -> Response:
    """Decide; the queue comes back as it was looked at, without the item."""
    decision = field(form, "decision")
    if decision not in _CHOICES:
        raise BadInput(f"decision must be one of {', '.join(_CHOICES)}, not {decision[:20]!r}", field="decision")
    choice = read_model(
        TriageChoice,
        decision=decision,
        version=whole_number(field(form, "version"), "version", least=1, most=2**31),
        note=as_written(field(form, "note", "")),
        output=as_written(field(form, "output")) if decision == "edit" else None,
        assignee=principal.name if decision == "assign" else None,
    )
    context: dict[str, Any] = {}
    try:
        context["done"] = await decide_triage_item(request, services, principal, item_id, choice)
    except Conflict as error:
        if not is_part(request):
            raise
        context["refusal"] = error.detail  # shown with the queue, as only this item was decided by somebody else
    if is_part(request):
        context |= await _queue(
            services, principal, **{name: field(form, name, "") for name in ("state", "kind", "after")}
        )
        return render_page(request.scope, "_triage.html", **context)
    return Response(status_code=303, headers={"Location": f"{request.scope.get('root_path', '')}/ui/triage"})


async def _queue(services: ServicesDep, principal: ReadDep, *, state: str, kind: str, after: str) -> dict[str, Any]:
    find = partial(
        list_triage, services, principal, state=cast("Any", state if state in _STATES else None),
        kind=cast("Any", kind if kind in KINDS else None), assignee=None, limit=_PAGE,
    )  # fmt: skip
    page = await find(after=after or None)
    if after and not page.items:  # the last item of this page has been decided
        after, page = "", await find(after=None)
    return {"found": page, "state": state, "kind": kind, "after": after, "kinds": KINDS, "states": _STATES}


def as_written(sent: str) -> str:
    """Lines as they were in the box: a form ends them by CR LF, in which an edit would differ from its answer."""
    return sent.replace("\r\n", "\n")
