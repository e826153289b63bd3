"""`/v1/catalog`: datasets, their versions, registration (CONTRACTS.md section 3).

Belongs here: the five routes. Not here: what they do (see lakehouse/catalog).
"""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from lakehouse.catalog.manifest import Column
from lakehouse.errors import BadInput, LakehouseError, StoreUnavailable
from lakehouse_api.answering_store import ANSWERING_STORE, run_while_answering
from lakehouse_api.dependencies import ReadDep, ServicesDep, WriteDep, audit, fresh_snapshot, run_blocking
from lakehouse_api.errors import instance_of, problems
from lakehouse_api.schemas.catalog import Dataset, DatasetList, DatasetSummary, DatasetVersions, Registration
from lakehouse_api.schemas.times import Moment
from lakehouse_api.services import Services

router = APIRouter(prefix="/v1/catalog", tags=["catalog"])
Name = Annotated[str, Path(description="`[a-z][a-z0-9_]{0,62}`, and not a reserved name.", examples=["workers"])]


@router.get("")
async def list_datasets(services: ServicesDep, _: ReadDep) -> DatasetList:
    """List the live datasets; other processes' changes show within 2 s."""
    snapshot = await fresh_snapshot(services)
    datasets = [DatasetSummary.of(manifest) for manifest in snapshot.manifests.values()]
    return DatasetList(datasets=datasets, broken=dict(snapshot.broken))


@router.get("/{name}", responses=problems(404, 410), dependencies=[ANSWERING_STORE])
async def get_dataset(
    *,
    services: ServicesDep,
    _: ReadDep,
    name: Name,
    version: Annotated[int | None, Query(ge=1, le=2**31, description="Of this version.")] = None,
    as_of: Annotated[Moment | None, Query(description="As it was at this time (ISO 8601 with offset).")] = None,
) -> Dataset:
    """Read a dataset's manifest: the live one, or that of a version or a time."""
    if version is not None and as_of is not None:
        raise BadInput("send version or as_of, not both")
    manifest = await run_while_answering(services, services.catalog.get, name, version=version, as_of=as_of)
    return Dataset.of(manifest)


@router.get("/{name}/versions", responses=problems(404), dependencies=[ANSWERING_STORE])
async def list_dataset_versions(services: ServicesDep, _: ReadDep, name: Name) -> DatasetVersions:
    """List the versions that can still be read, newest first; a deleted dataset's too."""
    manifests = await run_while_answering(services, services.catalog.versions, name)
    return DatasetVersions(versions=[Dataset.of(manifest) for manifest in manifests])


@router.put(
    "/{name}",
    responses=problems(404, 409, 422, 507) | {201: {"model": Dataset, "description": "A new dataset."}},
    dependencies=[ANSWERING_STORE],
)
async def register_dataset(
    *,
    request: Request,
    response: Response,
    services: ServicesDep,
    principal: WriteDep,
    name: Name,
    body: Registration,
    evolve: Annotated[bool, Query(description="Accept other columns than the registered ones.")] = False,
) -> Dataset:
    """Make a dataset of Parquet files in `files/`, which are copied; 200 when the dataset was there already."""
    services.disk.require_space()
    columns = [Column(c.name, c.type, c.pii) for c in body.columns]
    keys = [o.key for o in body.objects]
    register = services.registrar.register
    try:
        commit = await run_blocking(services, register, name, columns, keys, actor=principal.name, evolve=evolve)
    except LakehouseError:
        await audit(services, principal, request, action="catalog.register", subject=name, status="refused")
        raise
    await _refresh(services)
    manifest = commit.manifest
    await audit(
        services, principal, request,
        action="catalog.register", subject=name, status="ok", rows=manifest.row_count, bytes=manifest.size_bytes,
    )  # fmt: skip
    if commit.previous is None:
        response.status_code = 201
        response.headers["Location"] = instance_of(request.scope)
    return Dataset.of(manifest)


@router.delete("/{name}", status_code=204, responses=problems(404), dependencies=[ANSWERING_STORE])
async def delete_dataset(request: Request, services: ServicesDep, principal: WriteDep, name: Name) -> Response:
    """Take a dataset out of the catalog; its view goes at once, its versions stay readable until `gc`."""
    await run_blocking(services, services.catalog.delete, name, by=principal.name)
    await _refresh(services)
    await audit(services, principal, request, action="catalog.delete", subject=name, status="ok")
    return Response(status_code=204)


async def _refresh(services: Services) -> None:
    """Let this process's next query see the change; a store that fails right now is looked at again by the watcher."""
    with suppress(StoreUnavailable):
        await run_blocking(services, services.watcher.refresh)
