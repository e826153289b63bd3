"""`/v1/outcomes`: how an answer did, which credits or debits what had been shown for it (CONTRACTS.md section 7).

Belongs here: the route. Not here: trace ids (see lakehouse/retrieval/trace.py), credit (see playbook_desk.py).
"""

from __future__ import annotations

import orjson
from fastapi import APIRouter

from lakehouse.clock import new_id
from lakehouse.errors import BadInput
from lakehouse.retrieval.playbook_desk import Recorded
from lakehouse_api.errors import problems
from lakehouse_api.hot_routes import HOT, Asked
from lakehouse_api.schemas.outcomes import Outcome, OutcomeTaken
from lakehouse_api.struct_bodies import Body, answers

router = APIRouter(prefix="/v1/outcomes", tags=["outcomes"])


async def report_outcome(asked: Asked) -> bytes:
    """Report how an answer did; the latest word per trace, answer and token counts."""
    body: Outcome = asked.body
    services = asked.services
    if (body.trace_id is None) == (body.run_id is None):
        raise BadInput("send trace_id or run_id, and not both")
    if (body.success is None) == (body.score is None):
        raise BadInput("send success or score, and not both")
    score = body.score if body.score is not None else (1.0 if body.success else -1.0)
    services.require_writable()
    trace = None if body.trace_id is None else services.retrieval.signer.read(body.trace_id)
    if trace is not None and body.answer_id is not None and all(s.id != body.answer_id for s in trace.shown):
        raise BadInput(f"answer_id {body.answer_id[:60]!r} was not shown under this trace_id")
    by = asked.principal.name
    written: list[Recorded] = []
    if trace is not None:
        services.retrieval.require_memory()
        written = await services.retrieval.desk.credit(trace, score, by=by, answer_id=body.answer_id)
    credited = [one.playbook_id for one in written]
    run_id = new_id()
    asked.state["is_audited"] = True
    line = {
        "run_id": run_id,
        "outcome_of": trace.run_id if trace is not None else body.run_id,
        "trace_id": body.trace_id,
        "task_id": asked.state["task_id"],
        "actor": by,
        "config_version": trace.config_version if trace is not None else None,
        "arm": trace.arm if trace is not None else None,
        "answer_id": body.answer_id,
        "score": score,
        "success": body.success,
        "reported_by": body.by,
        "note": body.note,
        "credited": credited,
    }
    await services.events.append("outcomes", line, durable=True)
    revision = written[-1].revision if written else None
    return orjson.dumps({"run_id": run_id, "credited": credited, "revision": revision})


_EXAMPLE = {"trace_id": "WzEsIjAxYTIwZTVkIl0.U5L-cFwtuBraM1lOPzM5FQ", "success": True, "answer_id": "1017"}
_TAKEN = {
    "run_id": "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c",
    "credited": ["0198f0c2-6a11-7c02-8f3e-5d2b1c9a7e40"],
    "revision": "01a20e5d71b10000-01a20e5d-6443-7336-9c7a-3e9c950a46ce-000000000001-0000",
}
HOT.declare(
    router, "", report_outcome, body=Body(Outcome, example=_EXAMPLE), scope="write", status=201,
    responses={201: answers(OutcomeTaken, example=_TAKEN), **problems(404, 507)},
)  # fmt: skip
