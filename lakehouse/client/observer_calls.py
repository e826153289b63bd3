"""The calls about what is observed, and about workflows. Each function is one route.

Belongs here: what is asked, typed for users. Not here: sending (see transport.py), models (see chat_calls.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypedDict

from lakehouse.client.call import Call, encode, member, path_of, query_of, read_json

_OBSERVER = ("v1", "observer")


class ObserverStats(TypedDict):
    """Counts of one process since its start; `persist_errors` are not on disk, `dropped` had to leave the memory."""

    total: int
    in_ring: int
    dropped: int
    persist_errors: int
    by_source: dict[str, int]
    by_kind: dict[str, int]
    by_verdict: dict[str, int]
    by_model: dict[str, int]


class WorkflowRun(TypedDict):
    """What became of a run; `error` is that of the node that failed first, with its id as `node`."""

    run_id: str
    workflow: str
    version: int
    state: Literal["running", "ended", "unfinished"]
    success: bool
    error: dict[str, Any] | None
    nodes: list[dict[str, Any]]
    output: Any


def observe(
    reporter: str,
    kind: str,
    *,
    subject: str | None = None,
    model: str | None = None,
    verdict: Literal["accept", "reject", "cycle"] | None = None,
    confidence: float | None = None,
    success: bool | None = None,
    latency_ms: float | None = None,
    data: Any = None,
) -> Call[str]:
    """Report something; gives the event's id. It is never sent twice: a second try would be a second event.

    Args:
        reporter: Who reports: the `source` of the event.
        kind: What sort of thing.
        subject: What it is about; a run's id makes a verdict evidence about that run.
        model: The model that is meant, or that judged.
        verdict: `cycle`: do it again.
        confidence: How sure the verdict is, 0 to 1.
        success: Whether it worked.
        latency_ms: How long it took.
        data: What else there is, any JSON.
    """
    body = encode(
        source=reporter, kind=kind, subject=subject, model=model, verdict=verdict, confidence=confidence,
        success=success, latency_ms=latency_ms, data=data,
    )  # fmt: skip
    return Call("POST", path_of(*_OBSERVER, "event"), member("event_id"), body=body, is_repeatable=False)


def list_observed(
    *,
    source: str | None = None,
    kind: str | None = None,
    verdict: Literal["accept", "reject", "cycle"] | None = None,
    model: str | None = None,
    since: datetime | None = None,
    limit: int = 100,
) -> Call[list[dict[str, Any]]]:
    """List events in the memory of the process that answers, newest first."""
    asked = query_of(source=source, kind=kind, verdict=verdict, model=model, since=since, limit=limit)
    return Call("GET", path_of(*_OBSERVER, "events"), member("events"), params=asked)


def observer_stats() -> Call[ObserverStats]:
    """Count events of the process that answers."""
    return Call("GET", path_of(*_OBSERVER, "stats"), read_json)


def run_workflow(workflow: str | Mapping[str, Any], given: Mapping[str, Any] | None = None) -> Call[WorkflowRun]:
    """Run a workflow, by its name or as its file says it, and wait for its end.

    A node that fails is no error of this call: see `success` and `error` of the run. It is never sent twice.

    Args:
        workflow: What is run.
        given: Its inputs, by name.

    Raises:
        LakehouseApiError: 400 with the line where it or an input is wrong; 404 when there is none of that name.
    """
    body = encode(workflow=workflow, input=dict(given or {}))
    path = path_of(*_OBSERVER, "workflow", "run")
    return Call("POST", path, read_json, body=body, is_repeatable=False, has_deadline=False)


def get_workflow_run(run_id: str) -> Call[WorkflowRun]:
    """Read what became of a run; its texts show with the scope `pii`.

    Raises:
        LakehouseApiError: 404 when there is none.
    """
    return Call("GET", path_of(*_OBSERVER, "workflow", "runs", run_id), read_json)


def list_workflow_modes() -> Call[dict[str, Any]]:
    """List the modes of nodes with what they take, and the workflows that can be run by name."""
    return Call("GET", path_of(*_OBSERVER, "workflow", "modes"), read_json)
