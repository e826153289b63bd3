"""`/v1/observer/workflow`: running workflows, what they may do, what became of them (CONTRACTS.md section 7).

Belongs here: the routes, the stream of states. Not here: running (see lakehouse/workflow), runs (see ../workflows.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse

from lakehouse.errors import LakehouseError
from lakehouse.tables.reserved import MASK
from lakehouse.workflow.document import Workflow
from lakehouse.workflow.mode import Who
from lakehouse_api.background import end_task
from lakehouse_api.dependencies import ReadDep, ServicesDep, WriteDep, run_blocking
from lakehouse_api.disconnect import CLIENT_CLOSED_REQUEST, while_connected
from lakehouse_api.errors import problems
from lakehouse_api.schemas.workflow import ModeFieldView, ModeList, ModeView, WorkflowCall, WorkflowRunView
from lakehouse_api.services import Services

router = APIRouter(prefix="/v1/observer/workflow", tags=["observer"])
NDJSON = "application/x-ndjson"
_STREAM: dict[str, Any] = {
    "description": f"The run; with `Accept: {NDJSON}` a line for each change of a node's state, then one of the run.",
    "content": {NDJSON: {"schema": {"type": "string"}}},
}


@router.post("/run", response_model=WorkflowRunView, responses=problems(404, 413, 504, 507) | {200: _STREAM})
async def run_workflow(request: Request, services: ServicesDep, principal: WriteDep, asked: WorkflowCall) -> Response:
    """Run a workflow; each node is on record as it ends, and what fails says so in its own node."""
    state = request.scope["state"]
    state["is_audited"] = True
    who = Who(principal.name, principal.has_pii, state["task_id"], state["request_id"])
    services.require_writable()
    principal.require("read")  # its nodes search and query, and `write` alone does not read
    workflow = await services.workflows.read(asked.workflow)
    workflow.take(asked.input)
    if NDJSON in request.headers.get("accept", ""):
        events = _events(services, workflow, asked.input, who)
        first = await anext(events)  # what is refused before it begins has its status
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return StreamingResponse(_behind(first, events), media_type=NDJSON, headers=headers)
    try:
        done = await while_connected(request, services.workflows.run(workflow, asked.input, who))
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    return Response(orjson.dumps(done), media_type="application/json")


@router.get("/modes")
async def list_modes(services: ServicesDep, _: ReadDep) -> ModeList:
    """List the modes of nodes with what they take, and the workflows that can be run by name."""
    modes = [
        ModeView(
            name=mode.name,
            meaning=mode.meaning,
            fields={
                name: ModeFieldView(type=field.kind, meaning=field.meaning, required=field.is_required)
                for name, field in mode.fields.items()
            },
        )
        for _, mode in sorted(services.workflows.catalog.modes.items())
    ]
    return ModeList(modes=modes, workflows=await run_blocking(services, services.workflows.files.names))


@router.get("/runs/{run_id}", response_model=WorkflowRunView, responses=problems(404))
async def get_workflow_run(
    services: ServicesDep, principal: ReadDep, run_id: Annotated[str, Path(max_length=100)]
) -> Response:
    """What became of a run, read back from its raw lines; texts show with the scope `pii` alone."""
    found = await services.workflows.get(run_id)
    shown = found if principal.has_pii else _masked(found)
    return Response(orjson.dumps(shown), media_type="application/json")


async def _events(services: Services, workflow: Workflow, given: Mapping[str, Any], who: Who) -> AsyncIterator[bytes]:
    """A line for each change of state, the last one with the run or the error that ended it."""
    changes: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()
    end: list[Mapping[str, Any]] = []
    begun = False

    def watch(change: Mapping[str, Any]) -> None:
        nonlocal begun
        begun = True
        changes.put_nowait(change)

    async def run() -> None:
        try:
            end.append({"event": "end", "run": await services.workflows.run(workflow, given, who, watch=watch)})
        except LakehouseError as error:
            if not begun:
                raise
            end.append({"event": "error", "status": error.status, "detail": error.detail})
        finally:
            changes.put_nowait(None)

    running = asyncio.create_task(run())
    try:
        while (change := await changes.get()) is not None:
            yield orjson.dumps(change, option=orjson.OPT_APPEND_NEWLINE)
        await running
        yield orjson.dumps(end[0], option=orjson.OPT_APPEND_NEWLINE)
    finally:
        await end_task(running)  # a client that went away stops its run


async def _behind(first: bytes, events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for event in events:
        yield event


def _masked(run: Mapping[str, Any]) -> dict[str, Any]:
    """A run without what people and models wrote: states, times and numbers stay."""

    def error_of(error: Mapping[str, Any] | None) -> dict[str, Any] | None:
        return None if error is None else {**error, "detail": MASK}

    nodes = [{**node, "output": MASK, "error": error_of(node["error"])} for node in run["nodes"]]
    return {**run, "nodes": nodes, "output": MASK, "error": error_of(run["error"])}
