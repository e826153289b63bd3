"""`/v1/matrix`: several corpora searched together, and the playbooks that lift later searches (CONTRACTS.md section 7).

Belongs here: the routes and how answers are written. Not here: the search (see lakehouse/retrieval/search_service.py).
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
import orjson
from fastapi import APIRouter, Path, Query, Request

from lakehouse.errors import LakehouseError, Unavailable
from lakehouse.jitter import draw
from lakehouse.retrieval.playbook import PlaybookBook
from lakehouse.retrieval.playbook_desk import NewRecord, Recorded
from lakehouse.retrieval.playbook_entry import PlaybookEntry
from lakehouse.retrieval.search_answer import Result, SearchAnswer
from lakehouse.retrieval.search_log import search_line
from lakehouse.retrieval.search_request import SearchRequest
from lakehouse.tables.reserved import MASK
from lakehouse_api.dependencies import ReadDep, ServicesDep, WriteDep
from lakehouse_api.errors import problems
from lakehouse_api.hot_routes import HOT, Asked
from lakehouse_api.query_parameters import MinRevision
from lakehouse_api.schemas.matrix import (
    MatrixAnswer,
    MatrixSearch,
    PlaybookBulk,
    PlaybookFeedback,
    PlaybookRecord,
    PlaybookRecorded,
)
from lakehouse_api.schemas.playbooks import PlaybookBulkAnswer, PlaybookDeleted, PlaybookList, PlaybookView
from lakehouse_api.struct_bodies import Body, answers

router = APIRouter(prefix="/v1/matrix", tags=["matrix"])
_EXAMPLE = {"query": "electrician with industrial wiring", "corpora": ["workers"], "k": 5, "filter": {"state": "OH"}}
_RECORD_EXAMPLE = {"query": "forklift driver, OSHA-30", "answer_id": "1017", "answer_corpus": "workers", "score": 1.0}
_RECORDED = {
    "playbook_id": "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c",
    "merged": False,
    "revision": "01a20e5d71b10000-01a20e5d-6443-7336-9c7a-3e9c950a46ce-000000000001-0000",
}
_ANSWER = {
    "query": "electrician with industrial wiring",
    "results": [
        {
            "id": "1017",
            "corpus": "workers",
            "score": 1.31,
            "distance": 0.42,
            "metadata": {"state": "OH", "role": "Electrician"},
            "playbook": {"boost": 0.6, "playbook_ids": ["0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c"]},
        }
    ],
    "corpora": {"workers": {"hits": 50, "kept": 1, "dropped": 0}},
    "downgraded": False,
    "arm": "playbook",
    "config_version": "search/0",
    "trace_id": "WzEsIjAxYTIwZTVkIl0.U5L-cFwtuBraM1lOPzM5FQ",
    "timings_ms": {
        "embed": 0.1,
        "search": 0.6,
        "merge": 0.1,
        "total": 0.8,
        "embed_cached": True,
        "answer_cached": False,
    },
    "stale": [],
    "unjudged": {},
}
PlaybookId = Annotated[str, Path(max_length=100)]


async def search_matrix(asked: Asked) -> bytes:
    """Search corpora together: filters hold before retrieval, playbooks lift what worked and sink what failed."""
    body: MatrixSearch = asked.body
    services = asked.services
    if body.min_revision is not None:
        await services.retrieval.wait_for(body.min_revision)
    request = SearchRequest(
        query=body.query,
        corpora=body.corpora,
        k=body.k,
        per_corpus_k=body.per_corpus_k,
        filter=body.filter,
        sql_filter=body.sql_filter,
        exclude_ids=body.exclude_ids,
        use_playbook=body.use_playbook,
        playbook=body.playbook,
        mode=body.mode,
        threshold=None if body.relevance is None else body.relevance.threshold,
        model=body.model,
        force_full=body.force_full,
    )
    answer = await services.retrieval.search.search(request, has_pii=asked.principal.has_pii)
    services.metrics.count_search(
        answer.arm, is_embedding_cached=answer.is_embedding_cached, is_answer_cached=answer.is_answer_cached
    )
    asked.state["is_audited"] = True
    if draw() < services.settings.search_log_share:
        line = search_line(answer, request, actor=asked.principal.name, task_id=asked.state["task_id"])
        await services.events.append("searches", line, durable=False)
    return _rendered(answer)


async def record_playbook(asked: Asked) -> bytes:
    """Record that an answer worked (or failed) for a query; durable, and visible to the next search here."""
    body: PlaybookRecord = asked.body
    asked.services.require_writable()
    recorded = await _record(asked, body)
    await _log_event(asked, "record", recorded, score=body.score, query=body.query, answer_id=body.answer_id)
    return orjson.dumps(_written(recorded))


async def record_playbooks(asked: Asked) -> bytes:
    """Record many; good ones are kept whatever becomes of the others; 503 when the store took none of them."""
    asked.services.require_writable()
    raw: list[msgspec.Raw] = asked.body.records
    results = await asyncio.gather(*(_record_one(asked, bytes(one)) for one in raw))
    refusals = [result for result in results if isinstance(result, LakehouseError)]
    if len(refusals) == len(results) and all(isinstance(error, Unavailable) for error in refusals):
        raise refusals[0]
    shown = [{"ok": False, "error": r.detail} if isinstance(r, LakehouseError) else r for r in results]
    return orjson.dumps({"results": shown})


async def judge_playbook(asked: Asked) -> bytes:
    """Judge an entry: −1 sinks its answer in later searches, 1 lifts it."""
    body: PlaybookFeedback = asked.body
    asked.services.require_writable()
    asked.services.retrieval.require_memory()
    judged = await asked.services.retrieval.desk.feedback(body.playbook_id, body.score, actor=asked.principal.name)
    await _log_event(asked, "feedback", judged, score=body.score)
    return orjson.dumps(_written(judged))


_SEARCH = Body(MatrixSearch, example=_EXAMPLE)
_RECORD = Body(PlaybookRecord, example=_RECORD_EXAMPLE)
HOT.declare(
    router, "/search", search_matrix, body=_SEARCH, scope="read",
    responses={200: answers(MatrixAnswer, example=_ANSWER), **problems(404, 504, 507)},
)  # fmt: skip
HOT.declare(
    router, "/playbooks/record", record_playbook, body=_RECORD, scope="write",
    responses={200: answers(PlaybookRecorded, example=_RECORDED), **problems(507)},
)  # fmt: skip
HOT.declare(
    router, "/playbooks/bulk", record_playbooks, scope="write",
    body=Body(PlaybookBulk, example={"records": [_RECORD_EXAMPLE]}),
    responses={200: answers(PlaybookBulkAnswer, example={"results": [{"ok": True, **_RECORDED}]}), **problems(507)},
)  # fmt: skip
HOT.declare(
    router, "/playbooks/feedback", judge_playbook, scope="write",
    body=Body(PlaybookFeedback, example={"playbook_id": "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c", "score": -1}),
    responses={200: answers(PlaybookRecorded, example=_RECORDED), **problems(404, 507)},
)  # fmt: skip


@router.get("/playbooks", responses=problems(404))
async def list_playbooks(
    services: ServicesDep,
    principal: ReadDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    start_after: Annotated[str, Query(max_length=100, description="`next` of the page before.")] = "",
    min_revision: MinRevision = None,
) -> PlaybookList:
    """List entries, oldest first, with the evidence behind each; queries show with the scope `pii` alone."""
    if min_revision is not None:
        await services.retrieval.wait_for(min_revision)
    services.retrieval.require_memory()
    book = services.retrieval.book
    page = [entry for entry in book.entries() if entry.playbook_id > start_after][: limit + 1]
    shown = [_view(book, entry, has_pii=principal.has_pii) for entry in page[:limit]]
    return PlaybookList(playbooks=shown, next=page[limit - 1].playbook_id if len(page) > limit else None)


@router.delete("/playbooks/{playbook_id}", responses=problems(404, 507))
async def delete_playbook(
    request: Request, services: ServicesDep, principal: WriteDep, playbook_id: PlaybookId
) -> PlaybookDeleted:
    """Forget an entry, for good."""
    services.require_writable()
    services.retrieval.require_memory()
    deleted = await services.retrieval.desk.delete(playbook_id, actor=principal.name)
    await _log_event(Asked(services, principal, request.scope["state"], None), "delete", deleted)
    return PlaybookDeleted(playbook_id=deleted.playbook_id, revision=deleted.revision)


async def _record(asked: Asked, body: PlaybookRecord) -> Recorded:
    new = NewRecord(body.query, body.answer_id, body.answer_corpus, body.score, body.tags, body.key)
    return await asked.services.retrieval.desk.record(new, actor=asked.principal.name)


async def _record_one(asked: Asked, raw: bytes) -> dict[str, Any] | LakehouseError:
    try:
        body = _RECORD.decode(raw)
        recorded = await _record(asked, body)
    except LakehouseError as error:
        return error
    await _log_event(asked, "record", recorded, score=body.score, query=body.query, answer_id=body.answer_id)
    return {"ok": True, **_written(recorded)}


def _written(recorded: Recorded) -> dict[str, Any]:
    return {"playbook_id": recorded.playbook_id, "merged": recorded.is_merged, "revision": recorded.revision}


async def _log_event(asked: Asked, action: str, written: Recorded, **fields: Any) -> None:
    """The event's line in its raw stream; the write itself is durable in the memory log already."""
    asked.state["is_audited"] = True
    line = {
        "action": action,
        "playbook_id": written.playbook_id,
        "merged": written.is_merged,
        "actor": asked.principal.name,
        "task_id": asked.state["task_id"],
        "config_version": asked.services.live_configs.search.version_name,
        **fields,
    }
    await asked.services.events.append("playbook_events", line, durable=False)


def _view(book: PlaybookBook, entry: PlaybookEntry, *, has_pii: bool) -> PlaybookView:
    evidence = book.evidence_of(entry)
    return PlaybookView(
        playbook_id=entry.playbook_id,
        query=entry.query if has_pii else MASK,
        answer_id=entry.answer_id,
        answer_corpus=entry.answer_corpus,
        tags=list(entry.tags),
        created_at=entry.created_at,
        evidence=len(evidence),
        mean_score=sum(e.score for e in evidence) / max(1, len(evidence)),
    )


def _rendered(answer: SearchAnswer) -> bytes:
    results = answer.shared.get("results")
    if results is None:
        results = answer.shared["results"] = orjson.dumps([_result(r) for r in answer.results])
    return orjson.dumps(
        {
            "query": answer.plan.ask.query,
            "results": orjson.Fragment(results),
            "corpora": {n: {"hits": c.hits, "kept": c.kept, "dropped": c.dropped} for n, c in answer.counts.items()},
            "downgraded": answer.is_downgraded,
            "arm": answer.arm,
            "config_version": answer.config_version,
            "trace_id": answer.trace_id,
            "timings_ms": {
                "embed": answer.embed_ms,
                "search": answer.search_ms,
                "merge": answer.merge_ms,
                "total": answer.total_ms,
                "embed_cached": answer.is_embedding_cached,
                "answer_cached": answer.is_answer_cached,
            },
            "stale": answer.stale,
            "unjudged": answer.unjudged,
        }
    )


def _result(result: Result) -> dict[str, Any]:
    candidate = result.candidate
    lift = candidate.lift
    return {
        "id": candidate.id,
        "corpus": candidate.corpus,
        "score": candidate.score,
        "distance": candidate.distance,
        "metadata": orjson.Fragment(result.metadata),
        "playbook": None if lift is None else {"boost": lift.boost, "playbook_ids": lift.playbook_ids},
    }
