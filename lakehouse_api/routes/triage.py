"""`/v1/triage`: the queue of what needs a person, and what people decide.

Belongs here: the routes. Not here: the order of a decision (see ../triage.py), rules (see lakehouse/triage).
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request

from lakehouse.adapters.triage_queue import page_of
from lakehouse.errors import Forbidden
from lakehouse.triage.decision import Asked
from lakehouse_api.answering_store import ANSWERING_STORE, run_while_answering
from lakehouse_api.auth import Principal
from lakehouse_api.dependencies import ReadDep, ServicesDep, WriteDep, audit
from lakehouse_api.errors import problems
from lakehouse_api.schemas.triage import TriageChoice, TriageItem, TriageItemInFull, TriagePage

router = APIRouter(prefix="/v1/triage", tags=["triage"], dependencies=[ANSWERING_STORE])
ItemId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", examples=["5a0c7a1d6f0f8d3b4f0e6f3c2b1a9d8e"])]
_KINDS = Literal["suspected_pii", "validator_conflict", "drift", "reviewer_disagreement", "needs_review"]


@router.get("")
async def list_triage(  # noqa: PLR0917 - FastAPI passes all by name
    services: ServicesDep,
    principal: ReadDep,
    state: Annotated[
        Literal["open", "assigned", "decided"] | None, Query(description="Without it, what is open or assigned.")
    ] = None,
    kind: Annotated[_KINDS | None, Query(description="Why a person is needed.")] = None,
    assignee: Annotated[str | None, Query(max_length=200, description="Whose they are.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[str | None, Query(max_length=200, description="`next` of the page before.")] = None,
) -> TriagePage:
    """List what needs a person, the most urgent first; ids, reasons and numbers alone."""
    waiting = [one for one in await run_while_answering(services, services.triage.queue.items) if one.is_active]
    found = waiting
    if state == "decided":
        found = await run_while_answering(services, services.triage.queue.items, is_decided=True)
    shown = [
        one
        for one in found
        if (state is None or one.state == state)
        and (kind is None or one.kind == kind)
        and (assignee is None or one.assignee == assignee)
    ]
    page, following = page_of(shown, limit=limit, after=after)
    assigned = sum(one.state == "assigned" for one in waiting)
    return TriagePage(
        items=[TriageItem.of_item(one, has_pii=principal.has_pii) for one in page],
        next=following, open=len(waiting) - assigned, assigned=assigned,
    )  # fmt: skip


@router.get("/{item_id}", responses=problems(404))
async def get_triage_item(
    request: Request, services: ServicesDep, principal: ReadDep, item_id: ItemId
) -> TriageItemInFull:
    """Read an item with what a person needs to see; the texts need the scope `pii`."""
    item = await run_while_answering(services, services.triage.queue.get, item_id)
    context = await services.triage.context(services, item) if principal.has_pii else None
    await audit(services, principal, request, action="triage.read", subject=item_id, status="ok", is_durable=False)
    shown = TriageItem.fields_of(item, has_pii=principal.has_pii)
    return TriageItemInFull(**shown, context=context, is_withheld=not principal.has_pii)


@router.post("/{item_id}/decision", responses=problems(404, 409, 507))
async def decide_triage_item(
    request: Request, services: ServicesDep, principal: WriteDep, item_id: ItemId, choice: TriageChoice
) -> TriageItem:
    """Accept, edit, reject or assign an item; who comes second is told by whom and how it was decided (409)."""
    asked = Asked(
        choice=choice.decision,
        by=_who(principal, choice.by),
        version=choice.version,
        note=choice.note,
        output=choice.output,
        assignee=choice.assignee,
    )
    item = await services.triage.decide(services, item_id, asked)
    await audit(
        services, principal, request,
        action="triage.decide", subject=item_id, status="ok", decision=choice.decision, decided_by=asked.by,
        item_kind=item.kind, item_of=item.subject.of,
    )  # fmt: skip
    return TriageItem.of_item(item, has_pii=principal.has_pii)


def _who(principal: Principal, by: str | None) -> str:
    """The person: a word that counts as a person's must not be put into somebody else's mouth."""
    if by is None or by == principal.name:
        return principal.name
    if "admin" not in principal.scopes:
        raise Forbidden(
            f"token {principal.name!r} decides in its own name; `by` needs the scope 'admin'", scope="admin"
        )
    return by
