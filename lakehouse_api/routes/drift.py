"""`/v1/drift`: where each kind of drift stands, and acknowledging it.

Belongs here: the routes. Not here: reports (see lakehouse/adapters/drift_desk.py), what they stop (see
lakehouse/drift/freeze.py).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request

from lakehouse.drift.finding import KINDS, kind_of
from lakehouse.errors import BadInput, NotFound
from lakehouse_api.answering_store import ANSWERING_STORE, run_while_answering
from lakehouse_api.dependencies import AdminDep, ReadDep, ServicesDep, audit, run_blocking
from lakehouse_api.errors import problems
from lakehouse_api.schemas.drift import AcknowledgeDrift, AcknowledgementAnswer, DriftAnswer, KindAnswer

router = APIRouter(prefix="/v1/drift", tags=["drift"], dependencies=[ANSWERING_STORE])
KindName = Annotated[str, Path(alias="kind", description=f"One of {', '.join(KINDS)}.", examples=["outcome"])]


@router.get("")
async def get_drift(services: ServicesDep, _: ReadDep) -> DriftAnswer:
    """Read where every kind of drift stands: its baseline, its latest report, what keeps corpora from being built."""
    kinds = [KindAnswer.of(await run_while_answering(services, services.drift.state, kind)) for kind in KINDS]
    return DriftAnswer(is_frozen=any(one.open is not None for one in kinds), kinds=kinds)


@router.post("/{kind}/acknowledge", status_code=201, responses=problems(404, 409))
async def acknowledge_drift(
    request: Request, services: ServicesDep, principal: AdminDep, of: KindName, body: AcknowledgeDrift
) -> AcknowledgementAnswer:
    """Acknowledge what of a kind is confirmed, so that corpora are built again; who and why are kept."""
    try:
        kind = kind_of(of)
    except BadInput as error:
        raise NotFound(error.detail, kind=of[:60]) from None
    said = await run_blocking(services, services.drift.gate.acknowledge, kind, by=principal.name, why=body.why)
    await audit(services, principal, request, action="drift.acknowledge", subject=kind, status="ok", why=body.why)
    return AcknowledgementAnswer.of(said)
