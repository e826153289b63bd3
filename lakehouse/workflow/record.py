"""What became of a node and of a run: for the answer, for templates, and as lines of `workflow_nodes`.

Belongs here: the shapes and their JSON. Not here: running (see runner.py), writing lines (see
lakehouse/adapters/event_log.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lakehouse.catalog.manifest import format_utc
from lakehouse.errors import LakehouseError
from lakehouse.workflow.document import OUTPUT

if TYPE_CHECKING:
    from lakehouse.workflow.document import Workflow
    from lakehouse.workflow.mode import Who

STREAM = "workflow_nodes"


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What became of a node.

    Attributes:
        is_skipped: It was not run; `error` says why.
        is_blocked: It was not run since a node that it needs has failed.
        error: `{kind, status, detail}`; None where it worked.
        given: `with` as it was rendered; None where it was not.
        tried: Why earlier attempts failed.
        repairs: What had to be repaired in models' answers.
        calls: Run ids of its chat calls.
    """

    id: str
    mode: str
    success: bool
    error: Mapping[str, Any] | None
    attempts: int
    started_at: datetime
    ended_at: datetime
    output: Any = None
    given: Mapping[str, Any] | None = None
    is_skipped: bool = False
    is_blocked: bool = False
    model: str | None = None
    provider: str | None = None
    tried: Sequence[str] = ()
    repairs: Sequence[str] = ()
    calls: Sequence[str] = ()

    @property
    def state(self) -> str:
        """In one word: `succeeded`, `failed` or `skipped`."""
        return "skipped" if self.is_skipped else "succeeded" if self.success else "failed"

    def document(self) -> dict[str, Any]:
        """As answers show it."""
        return {
            "id": self.id,
            "mode": self.mode,
            "state": self.state,
            "success": self.success,
            "error": None if self.error is None else dict(self.error),
            "attempts": self.attempts,
            "started_at": format_utc(self.started_at),
            "ended_at": format_utc(self.ended_at),
            "output": self.output,
            "repairs": len(self.repairs),
            "model": self.model,
            "provider": self.provider,
        }

    def seen(self, run_id: str) -> dict[str, Any]:
        """As templates of later nodes see it."""
        return {
            "output": self.output,
            "success": self.success,
            "skipped": self.is_skipped,
            "error": None if self.error is None else dict(self.error),
            "run_id": f"{run_id}/{self.id}",
            "calls": list(self.calls),
        }

    def line(self, workflow: Workflow, run_id: str, who: Who, *, parent: str | None) -> dict[str, Any]:
        """Its line in the stream `workflow_nodes`."""
        return {
            "run_id": run_id,
            "task_id": who.task_id,
            "trace_id": who.request_id,
            "actor": who.actor,
            "workflow": workflow.name,
            "workflow_version": workflow.version,
            "workflow_sha256": workflow.sha256,
            "parent_run_id": parent,
            "node_id": self.id,
            "mode": self.mode,
            "with": None if self.given is None else dict(self.given),
            "success": self.success,
            "skipped": self.is_skipped,
            "error": None if self.error is None else dict(self.error),
            "attempts": self.attempts,
            "tried": list(self.tried),
            "repairs": list(self.repairs),
            "calls": list(self.calls),
            "started_at": format_utc(self.started_at),
            "ended_at": format_utc(self.ended_at),
            "output": self.output,
            "model": self.model,
            "provider": self.provider,
        }


@dataclass(frozen=True, slots=True)
class RunResult:
    """What became of a run; `state`: `ended`, `running`, or `unfinished` where its end is not recorded."""

    run_id: str
    workflow: str
    version: int
    success: bool
    nodes: Sequence[NodeResult]
    output: Any
    error: Mapping[str, Any] | None = None
    state: str = "ended"

    def document(self) -> dict[str, Any]:
        """As answers show it."""
        return {
            "run_id": self.run_id,
            "workflow": self.workflow,
            "version": self.version,
            "state": self.state,
            "success": self.success,
            "error": None if self.error is None else dict(self.error),
            "nodes": [node.document() for node in self.nodes],
            "output": self.output,
        }


def error_of(error: LakehouseError) -> dict[str, Any]:
    """An error as rows and answers tell it."""
    return {"kind": type(error).__name__, "status": error.status, "detail": error.detail[:2000]}


def run_of(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """A run put together from its lines, as `RunResult.document` shows it; None where there is none."""
    if not lines:
        return None
    by_node = {str(line["node_id"]): line for line in lines}
    end = by_node.pop(OUTPUT, None)
    first = lines[0] if end is None else end
    nodes = sorted(by_node.values(), key=lambda line: (str(line["ended_at"]), str(line["node_id"])))
    return {
        "run_id": first["run_id"],
        "workflow": first["workflow"],
        "version": first["workflow_version"],
        "state": "unfinished" if end is None else "ended",
        "success": end is not None and bool(end["success"]),
        "error": None if end is None else end["error"],
        "nodes": [_node_of(line) for line in nodes],
        "output": None if end is None else end["output"],
    }


def _node_of(line: Mapping[str, Any]) -> dict[str, Any]:
    state = "skipped" if line.get("skipped") else "succeeded" if line["success"] else "failed"
    kept = ("mode", "success", "error", "attempts", "started_at", "ended_at", "output", "model", "provider")
    shown = {name: line.get(name) for name in kept}
    return {"id": line["node_id"], "state": state, **shown, "repairs": len(line.get("repairs") or ())}
