"""`/v1/lineage`: from a training row down to its raw line, and from a run to all that was made of it.

Belongs here: the route. Not here: what an id may be (see lakehouse/lineage/reference.py), finding (see ../lineage.py).
"""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from lakehouse.lineage.reference import MAX_CHARACTERS, read_reference
from lakehouse_api.answering_store import ANSWERING_STORE
from lakehouse_api.dependencies import ReadDep, ServicesDep, audit
from lakehouse_api.errors import problems
from lakehouse_api.schemas.lineage import LineageAnswer

router = APIRouter(prefix="/v1/lineage", tags=["lineage"], dependencies=[ANSWERING_STORE])
Id = Annotated[
    str,
    Path(
        alias="id",
        max_length=MAX_CHARACTERS,
        description=(
            "A run's id, a sample's (32 hex digits), a chunk's (`<sample>#<number>`), or a raw line"
            " (`raw/<stream>/dt=…/x.jsonl:17`), percent-encoded; slashes may stand as they are."
        ),
        examples=["0c1d2e3f405162738495a6b7c8d9eaf0"],
    ),
]


@router.get("/{id:path}", response_model=LineageAnswer, responses=problems(404, 504))
async def get_lineage(request: Request, services: ServicesDep, principal: ReadDep, of: Id) -> Response:
    """Where something comes from, held against the raw bytes, and what was made of its runs.

    Ids, keys, numbers and hashes; reasons for a retraction show with the scope `pii`.
    """
    found = await services.lineage.find(read_reference(of))
    await audit(
        services, principal, request,
        action="lineage", subject=found.kind, status="ok", is_durable=False, rows=len(found.runs),
    )  # fmt: skip
    return Response(orjson.dumps(found.to_document(has_pii=principal.has_pii)), media_type="application/json")
