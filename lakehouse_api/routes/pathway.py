"""`/v1/pathway`: traces of how tasks were solved (CONTRACTS.md section 7).

Belongs here: the routes and how answers are written. Not here: traces (see lakehouse/pathway).
"""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Any

import anyio.to_thread
import orjson
from fastapi import APIRouter, Path
from starlette.responses import Response

from lakehouse.errors import BadInput, Unprocessable
from lakehouse.pathway.content import Content, read_content
from lakehouse.pathway.desk import Written
from lakehouse.pathway.history import history_of
from lakehouse.pathway.search import PathwaySearch
from lakehouse_api.dependencies import ReadDep, ServicesDep
from lakehouse_api.errors import problems
from lakehouse_api.hot_routes import HOT, Asked
from lakehouse_api.pathway_documents import document, history_document, within
from lakehouse_api.query_parameters import MinRevision
from lakehouse_api.schemas import pathway as shapes
from lakehouse_api.struct_bodies import Body, answers
from lakehouse_api.validating import validate_artifact

router = APIRouter(prefix="/v1/pathway", tags=["pathway"])
_CONTENT = {"task": "fill 3 welders in Toledo", "steps": ["search certified within 30 miles", "call by reliability"]}
_UID = "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c"
_TRACE = {
    "uid": _UID,
    "content": _CONTENT,
    "tags": ["fill", "welder"],
    "predecessor_uid": None,
    "retired": False,
    "retired_reason": None,
    "replay_count": 0,
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
    "links": 0,
}
_LONG = 32 << 10
_RESULTS = {"results": [{**_TRACE, "score": 0.91}], "truncated": False}
_NOTHING = dict.fromkeys(_TRACE) | {"tags": [], "retired": False, "replay_count": 0, "links": 0}
_REVISION = "01a20e5d71b10000-01a20e5d-6443-7336-9c7a-3e9c950a46ce-000000000001-0000"
_HISTORY = {
    "traces": [_TRACE],
    "complete": True,
    "stopped_by": None,
    "changes": [
        {
            "uid": _UID,
            "event": "add",
            "at": "2026-01-01T00:00:00Z",
            "actor": "primary",
            "revision": _REVISION,
            "content": _CONTENT,
            "note": None,
        }
    ],
    "changes_dropped": 0,
    "truncated": False,
}
_STATS = {
    "traces": 120,
    "current": 101,
    "revised": 12,
    "retired": 7,
    "adds": 150,
    "replays": 4,
    "links": {"exact": 21, "near": 6, "recalled": 3},
    "duplicate_rate": 0.2,
    "recall_of_self_rate": 0.02,
}
Uid = Annotated[str, Path(max_length=100)]


async def add_pathway(asked: Asked) -> bytes:
    """Remember how something was solved; what a trace says already is linked to it instead of added."""
    body: shapes.PathwayAdd = asked.body
    content = await _content(asked, body)
    written = await asked.services.pathways.desk.add(
        content, tags=body.tags, actor=asked.principal.name, is_recalled=body.provenance == "recalled"
    )
    return await _written(asked, "add", written, content, added=written.link is None)


async def add_pathway_idempotent(asked: Asked) -> bytes:
    """Remember under a key, once; the same key again is a replay."""
    body: shapes.PathwayAddIdempotent = asked.body
    content = await _content(asked, body)
    written = await asked.services.pathways.desk.add_idempotent(
        body.key, content, tags=body.tags, actor=asked.principal.name
    )
    trace = asked.services.pathways.desk.require(str(written.uid))
    return await _written(asked, "add_idempotent", written, content, added=trace.first_add == written.revision)


async def update_pathway(asked: Asked) -> bytes:
    """Replace what a trace says; its history keeps what it said before."""
    body: shapes.PathwayUpdate = asked.body
    content = await _content(asked, body)
    desk = asked.services.pathways.desk
    written = await desk.update(body.uid, content, tags=body.tags, actor=asked.principal.name)
    return await _written(asked, "update", written, content, added=False)


async def revise_pathway(asked: Asked) -> bytes:
    """Remember a better version of a trace as a new one; search finds it in the other's place."""
    body: shapes.PathwayRevise = asked.body
    content = await _content(asked, body)
    desk = asked.services.pathways.desk
    written = await desk.revise(body.predecessor_uid, content, tags=body.tags, actor=asked.principal.name)
    return await _written(asked, "revise", written, content, added=True)


async def retire_pathway(asked: Asked) -> bytes:
    """Take a trace out of searches, with the reason; it stays readable."""
    body: shapes.PathwayRetire = asked.body
    services = asked.services
    services.require_writable()
    services.pathways.require_memory()
    written = await services.pathways.desk.retire(body.uid, body.reason, actor=asked.principal.name)
    return await _written(asked, "retire", written, None, added=False, reason=body.reason)


async def search_pathway(asked: Asked) -> bytes:
    """Search by meaning, words, tags and time together; needs the scope `pii`, as traces are free text of people."""
    body: shapes.PathwaySearchBody = asked.body
    asked.principal.require("pii")
    pathways = asked.services.pathways
    if body.min_revision is not None:
        await pathways.log.wait_for(body.min_revision)
    since = body.since if body.since is None or body.since.tzinfo else body.since.replace(tzinfo=UTC)
    found = await pathways.search(
        PathwaySearch(body.text, body.tags, since, body.k, body.include_retired, body.include_revised),
        actor=asked.principal.name,
    )
    shown = within([one.trace for one in found])
    asked.state["is_audited"] = True
    await _log_event(asked, "search", query=body.text, tags=body.tags, k=body.k, found=[one.trace.uid for one in found])
    results = [{**document(one.trace), "score": one.score} for one in found[:shown]]
    return orjson.dumps({"results": results, "truncated": shown < len(found)}, option=orjson.OPT_UTC_Z)


@router.get("/stats", responses={200: answers(shapes.PathwayStats, example=_STATS)})
async def pathway_stats(services: ServicesDep, _: ReadDep) -> Response:
    """How much is remembered, and how much of what came was known already."""
    services.pathways.require_memory()
    return _json(await anyio.to_thread.run_sync(services.pathways.stats))


@router.get("/{uid}", responses={200: answers(shapes.PathwayTrace, example=_TRACE), **problems(404)})
async def get_pathway(
    services: ServicesDep, principal: ReadDep, uid: Uid, min_revision: MinRevision = None
) -> Response:
    """One trace, a retired one too."""
    principal.require("pii")
    if min_revision is not None:
        await services.pathways.log.wait_for(min_revision)
    services.pathways.require_memory()
    return _json(document(services.pathways.desk.require(uid)))


@router.get("/{uid}/history", responses={200: answers(shapes.PathwayHistory, example=_HISTORY), **problems(404)})
async def get_pathway_history(
    services: ServicesDep, principal: ReadDep, uid: Uid, min_revision: MinRevision = None
) -> Response:
    """A trace and what it revises, back to the first, with all that was said of them."""
    principal.require("pii")
    if min_revision is not None:
        await services.pathways.log.wait_for(min_revision)
    services.pathways.require_memory()
    pathways = services.pathways
    return _json(history_document(history_of(pathways.book, pathways.desk.require(uid))))


async def _content(asked: Asked, body: Any) -> Content:
    """The content of a write that may be done: there is room, the past is known, and its gate is passed."""
    services = asked.services
    services.require_writable()
    services.pathways.require_memory()
    raw = bytes(body.content)
    # Long contents are read in a thread: finding their words takes milliseconds, which would block the event loop.
    content = read_content(raw) if len(raw) <= _LONG else await anyio.to_thread.run_sync(read_content, raw)
    gate: shapes.PathwayGate | None = body.validate
    if gate is not None:
        artifact = gate.artifact if gate.artifact is not None else orjson.loads(content.json)
        if not isinstance(artifact, dict):
            raise BadInput("validate needs an artifact: the content is not a JSON object", field="validate.artifact")
        verdict = await validate_artifact(gate.kind, artifact, gate.context, roster=services.roster)
        services.metrics.count_validation(verdict.kind, None if verdict.refusal is None else verdict.refusal.error)
        if verdict.refusal is not None:
            refusal = verdict.refusal.tagged()
            raise Unprocessable(
                f"nothing was remembered: the {gate.kind} does not pass its validation", refusal=refusal
            )
    return content


async def _written(
    asked: Asked, action: str, written: Written, content: Content | None, *, added: bool, **fields: Any
) -> bytes:
    asked.state["is_audited"] = True
    if content is not None:
        fields["content"] = orjson.Fragment(content.json)
    await _log_event(asked, action, uid=written.uid, link=written.link, **fields)
    answer = _NOTHING
    if written.uid is not None:
        trace = asked.services.pathways.desk.require(written.uid)
        answer = document(trace, has_pii=asked.principal.has_pii)
    written_as = {"revision": written.revision, "added": added, "link": written.link}
    return orjson.dumps(answer | written_as, option=orjson.OPT_UTC_Z)


async def _log_event(asked: Asked, action: str, **fields: Any) -> None:
    """The event's line in its raw stream; the write itself is durable in the memory log already."""
    line = {"action": action, "actor": asked.principal.name, "task_id": asked.state["task_id"], **fields}
    await asked.services.events.append("pathway_events", line, durable=False)


def _json(answer: dict[str, Any]) -> Response:
    return Response(orjson.dumps(answer, option=orjson.OPT_UTC_Z), media_type="application/json")


_WRITTEN = answers(shapes.PathwayWritten, example={**_TRACE, "revision": _REVISION, "added": True, "link": None})
for _path, _run, _struct, _example, _statuses in (
    ("/add", add_pathway, shapes.PathwayAdd, {"content": _CONTENT, "tags": ["fill", "welder"]}, (413, 422)),
    (
        "/add_idempotent", add_pathway_idempotent, shapes.PathwayAddIdempotent,
        {"key": "order-1017/fill", "content": _CONTENT}, (413, 422),
    ),
    ("/update", update_pathway, shapes.PathwayUpdate, {"uid": _UID, "content": _CONTENT}, (404, 413, 422)),
    ("/revise", revise_pathway, shapes.PathwayRevise, {"predecessor_uid": _UID, "content": _CONTENT}, (404, 413, 422)),
    ("/retire", retire_pathway, shapes.PathwayRetire, {"uid": _UID, "reason": "the client has changed"}, (404,)),
):  # fmt: skip
    HOT.declare(
        router, _path, _run, body=Body(_struct, example=_example), scope="write",
        responses={200: _WRITTEN, **problems(*_statuses, 507)},
    )  # fmt: skip
HOT.declare(
    router, "/search", search_pathway, scope="read",
    body=Body(shapes.PathwaySearchBody, example={"text": "welders near Toledo", "tags": ["fill"], "k": 5}),
    responses={200: answers(shapes.PathwayResults, example=_RESULTS)},
)  # fmt: skip
