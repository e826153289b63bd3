"""`/v1/config`: the versioned configs that answers run under (CONTRACTS.md section 7).

Belongs here: the routes. Not here: versions (see lakehouse/retrieval/config_store.py), promotion.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from lakehouse.errors import BadInput, NotFound
from lakehouse.retrieval.config_store import ConfigVersion
from lakehouse.retrieval.search_config import NAME, parse_search_config
from lakehouse_api.dependencies import AdminDep, ReadDep, ServicesDep, audit, run_blocking
from lakehouse_api.errors import problems
from lakehouse_api.schemas.config import ConfigAnswer, ConfigChange, ConfigList, ConfigVersions

router = APIRouter(prefix="/v1/config", tags=["config"])
Name = Annotated[str, Path(description="`search`: what retrieval runs under.", examples=[NAME])]


@router.get("")
async def list_configs(services: ServicesDep, _: ReadDep) -> ConfigList:
    """Read the live version of every config."""
    live = await run_blocking(services, services.configs.live, NAME)
    return ConfigList(configs=[_answer(live, is_live=True)])


@router.get("/{name}/versions", responses=problems(404))
async def list_config_versions(services: ServicesDep, _: ReadDep, name: Name) -> ConfigVersions:
    """List every version of a config, newest first."""
    _require_known(name)
    live = await run_blocking(services, services.configs.live, name)
    versions = await run_blocking(services, services.configs.versions, name)
    return ConfigVersions(versions=[_answer(v, is_live=v.version == live.version) for v in versions])


@router.put("/{name}", responses=problems(404))
async def change_config(
    request: Request, services: ServicesDep, principal: AdminDep, name: Name, change: ConfigChange
) -> ConfigAnswer:
    """Make a new version live, or an older one again; every answer from now on names it."""
    _require_known(name)
    if (change.config is None) == (change.version is None):
        raise BadInput("send config (new fields) or version (an older one), and not both")
    if change.version is not None:
        await run_blocking(services, services.configs.set_live, name, change.version)
        live = await run_blocking(services, services.configs.get, name, change.version)
    else:
        before = await run_blocking(services, services.configs.live, name)
        document = parse_search_config(change.config, parse_search_config(before.document)).to_document()
        publish = services.configs.publish
        live = await run_blocking(services, publish, name, document, by=principal.name, note=change.note)
    services.live_config.take(live)
    await audit(services, principal, request, action="config.change", subject=f"{name}/{live.version}", status="ok")
    return _answer(live, is_live=True)


def _require_known(name: str) -> None:
    if name != NAME:
        raise NotFound(f"there is no config {name[:60]!r}; there is {NAME!r}", name=name)


def _answer(version: ConfigVersion, *, is_live: bool) -> ConfigAnswer:
    document: dict[str, Any] = parse_search_config(version.document).to_document()
    return ConfigAnswer.of(version, document, is_live=is_live)
