"""`/v1/config`: the versioned configs that answers run under (CONTRACTS.md section 7).

Belongs here: the routes. Not here: versions (see lakehouse/retrieval/config_store.py), promotion.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from lakehouse.errors import BadInput, NotFound
from lakehouse.retrieval.config_store import ConfigKind, ConfigVersion
from lakehouse_api.answering_store import ANSWERING_STORE, run_while_answering
from lakehouse_api.dependencies import AdminDep, ReadDep, ServicesDep, audit, run_blocking
from lakehouse_api.errors import problems
from lakehouse_api.live_config import LiveConfig
from lakehouse_api.schemas.config import ConfigAnswer, ConfigChange, ConfigList, ConfigVersions
from lakehouse_api.services import Services

router = APIRouter(prefix="/v1/config", tags=["config"], dependencies=[ANSWERING_STORE])
_NAMES = "`search`: what retrieval runs under; `answer`: the prompt and numbers of `/v1/answer`."
Name = Annotated[str, Path(description=_NAMES, examples=["search"])]


@router.get("")
async def list_configs(services: ServicesDep, _: ReadDep) -> ConfigList:
    """Read the live version of every config."""
    configs = []
    for name, live in services.live_configs.by_name.items():
        version = await run_while_answering(services, services.configs.live, name)
        configs.append(_answer(live.kind, version, is_live=True))
    return ConfigList(configs=configs)


@router.get("/{name}/versions", responses=problems(404))
async def list_config_versions(services: ServicesDep, _: ReadDep, name: Name) -> ConfigVersions:
    """List every version of a config, newest first; the last is 0, the built-in default."""
    kind = _known(services, name).kind
    live = await run_while_answering(services, services.configs.live, name)
    stored = await run_while_answering(services, services.configs.versions, name)
    versions = [*stored, await run_while_answering(services, services.configs.get, name, 0)]
    return ConfigVersions(versions=[_answer(kind, v, is_live=v.version == live.version) for v in versions])


@router.put("/{name}", responses=problems(404))
async def change_config(
    request: Request, services: ServicesDep, principal: AdminDep, name: Name, change: ConfigChange
) -> ConfigAnswer:
    """Make a new version live, or an older one again; every answer from now on names it."""
    serving = _known(services, name)
    kind = serving.kind
    if (change.config is None) == (change.version is None):
        raise BadInput("send config (new fields) or version (an older one), and not both")
    if change.version is not None:
        await run_blocking(services, services.configs.set_live, name, change.version)
        live = await run_blocking(services, services.configs.get, name, change.version)
    else:
        before = await run_blocking(services, services.configs.live, name)
        document = kind.parse(change.config, kind.read(before.document)).to_document()
        publish = services.configs.publish
        live = await run_blocking(services, publish, name, document, by=principal.name, note=change.note)
    serving.take(live)
    await audit(services, principal, request, action="config.change", subject=f"{name}/{live.version}", status="ok")
    return _answer(kind, live, is_live=True)


def _known(services: Services, name: str) -> LiveConfig[Any]:
    live = services.live_configs.by_name.get(name)
    if live is None:
        known = ", ".join(services.live_configs.by_name)
        raise NotFound(f"there is no config {name[:60]!r}; there are {known}", name=name)
    return live


def _answer(kind: ConfigKind[Any], version: ConfigVersion, *, is_live: bool) -> ConfigAnswer:
    return ConfigAnswer.of(version, kind.read(version.document).to_document(), is_live=is_live)
