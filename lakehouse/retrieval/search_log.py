"""The line that a search leaves in the stream `searches`: what was asked, what came back, under which config and arm.

Belongs here: its fields. Not here: the log (see lakehouse/events), which searches are logged.
"""

from __future__ import annotations

from typing import Any

from lakehouse.retrieval.asked import IS_WHOLE, asked_with
from lakehouse.retrieval.search_request import SearchRequest
from lakehouse.retrieval.search_service import SearchAnswer

_MAX_RESULTS = 100


def search_line(answer: SearchAnswer, request: SearchRequest, *, actor: str, task_id: str | None) -> dict[str, Any]:
    """One line.

    Args:
        answer: The search's answer.
        request: What was asked.
        actor: Name of the token.
        task_id: The request's `X-Task-Id`.
    """
    plan = answer.plan
    return {
        "run_id": answer.run_id,
        "task_id": task_id,
        "trace_id": answer.trace_id,
        "actor": actor,
        "config_version": answer.config_version,
        "query": plan.ask.query,
        "corpora": list(plan.corpora),
        "mode": plan.ask.mode,
        "k": plan.ask.k,
        "model": request.model,
        "arm": answer.arm,
        "is_filtered": plan.filter is not None or plan.sql_filter is not None,
        "excluded": len(plan.exclude_ids),
        "downgraded": answer.is_downgraded,
        "hits": sum(c.hits for c in answer.counts.values()),
        "kept": sum(c.kept for c in answer.counts.values()),
        "dropped": sum(c.dropped for c in answer.counts.values()),
        "results": [
            {
                "id": r.candidate.id,
                "corpus": r.candidate.corpus,
                "score": round(r.candidate.score, 6),
                "playbook_ids": list(r.candidate.lift.playbook_ids) if r.candidate.lift else [],
            }
            for r in answer.results[:_MAX_RESULTS]
        ],
        "latency_ms": round(answer.total_ms, 3),
        **_asked(request),
    }


def _asked(request: SearchRequest) -> dict[str, Any]:
    """With what it was asked; nothing where `is_filtered` and `excluded` say that there was nothing."""
    if request.sql_filter is not None:
        return {"asked": {IS_WHOLE: False}}  # no task of a replay has one
    if request.filter is None and not request.exclude_ids:
        return {}
    return {"asked": asked_with(filter=request.filter, exclude_ids=list(request.exclude_ids))}
