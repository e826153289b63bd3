"""The line that a search leaves in the stream `searches`: what was asked, what came back, under which config and arm.

Belongs here: its fields. Not here: the log (see lakehouse/events), which searches are logged.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson

from lakehouse.retrieval.asked import IS_WHOLE, asked_with
from lakehouse.retrieval.matrix import Candidate
from lakehouse.retrieval.search_answer import SearchAnswer
from lakehouse.retrieval.search_request import SearchRequest

_MAX_RESULTS = 100
_KEPT_AS = "logged results"
_KEPT_FILTERS = 1_024


def search_line(answer: SearchAnswer, request: SearchRequest, *, actor: str, task_id: str | None) -> dict[str, Any]:
    """One line.

    Args:
        answer: The search's answer.
        request: What was asked.
        actor: Name of the token.
        task_id: The request's `X-Task-Id`.
    """
    plan, counts = answer.plan, answer.counts.values()
    return {
        "run_id": answer.run_id,
        "task_id": task_id,
        "trace_id": answer.trace_id,
        "actor": actor,
        "config_version": answer.config_version,
        "query": plan.ask.query,
        "corpora": plan.corpora,
        "mode": plan.ask.mode,
        "k": plan.ask.k,
        "model": request.model,
        "arm": answer.arm,
        "is_filtered": plan.filter is not None or plan.sql_filter is not None,
        "excluded": len(plan.exclude_ids),
        "downgraded": answer.is_downgraded,
        "hits": sum([c.hits for c in counts]),
        "kept": sum([c.kept for c in counts]),
        "dropped": sum([c.dropped for c in counts]),
        "results": orjson.Fragment(_results(answer)),
        "latency_ms": answer.total_ms,
        **_asked(request),
    }


def _results(answer: SearchAnswer) -> bytes:
    """The results as JSON, made once for all answers with the same results."""
    known = answer.shared.get(_KEPT_AS)
    if known is None:
        known = answer.shared[_KEPT_AS] = orjson.dumps([_result(r.candidate) for r in answer.results[:_MAX_RESULTS]])
    return known


def _result(shown: Candidate) -> dict[str, Any]:
    return {
        "id": shown.id,
        "corpus": shown.corpus,
        "score": round(shown.score, 6),
        "playbook_ids": shown.lift.playbook_ids if shown.lift else (),
    }


def _asked(request: SearchRequest) -> dict[str, Any]:
    """The field `asked`; empty when there was neither a filter nor an exclusion, as other fields say already."""
    if request.sql_filter is not None:
        return {"asked": {IS_WHOLE: False}}  # a replay cannot ask with a SQL filter
    if request.filter is None and not request.exclude_ids:
        return {}
    if request.exclude_ids:
        return {"asked": asked_with(filter=request.filter, exclude_ids=list(request.exclude_ids))}
    try:
        written = orjson.dumps(request.filter)
    except TypeError:  # an integer beyond 64 bits, which orjson does not take
        return {"asked": asked_with(filter=request.filter)}
    return {"asked": orjson.Fragment(_asked_for(written))}


@lru_cache(maxsize=_KEPT_FILTERS)
def _asked_for(written: bytes) -> bytes:
    """The field `asked` of a filter alone; cached, as busy callers send the same few filters."""
    return orjson.dumps(asked_with(filter=orjson.loads(written)))
