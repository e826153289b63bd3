"""`/health`: how each part is; open to all, and without any secret, host or path.

Belongs here: the route. Not here: how a part is judged (see ../health.py).
"""

from __future__ import annotations

from fastapi import APIRouter, Response

from lakehouse_api.dependencies import ServicesDep
from lakehouse_api.health import read_health
from lakehouse_api.schemas.health import Health

router = APIRouter(tags=["operations"])


@router.head("/health", include_in_schema=False)
@router.get("/health", responses={503: {"model": Health, "description": "It cannot serve; the parts say why."}})
async def get_health(services: ServicesDep, response: Response) -> Health:
    """Say how each part is: 200 when the API serves (`ok`, `degraded`), 503 when it cannot (`unavailable`)."""
    health = read_health(services)
    if health.status == "unavailable":
        response.status_code = 503
    return health
