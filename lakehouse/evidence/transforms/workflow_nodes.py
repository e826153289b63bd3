"""Workflow nodes: one line for each node that a workflow's run has run (CONTRACTS.md section 7).

- `run_id`: `<run_id of the workflow's run>/<node_id>`; the run's own stays in metadata.
- `timestamp`: `ended_at`; `latency_ms`: from `started_at` to `ended_at`.
- `input_text`: `with`, `output_text`: `output`, both as JSON; `model_role`: `executor` where a model is named.
- Success: `node.ok`. Failure: `node.failed`, `node.retried` (more than one attempt), `node.skipped` (it was not run,
  which speaks neither for it nor against it: scores leave it out).
- The run's own line is that of the node `output`, with the inputs as `with`.

Belongs here: the rules of `workflow_nodes`. Not here: calls of models that a node made (see chat_calls.py).
"""

from __future__ import annotations

from lakehouse.evidence.expressions import markers
from lakehouse.evidence.transform import Transform

WORKFLOW_NODES = Transform(
    stream="workflow_nodes",
    version=2,
    fields={
        "workflow": "text", "workflow_version": "json", "node_id": "text", "mode": "text", "with": "json",
        "success": "boolean", "skipped": "boolean", "error": "json", "attempts": "integer", "started_at": "text",
        "ended_at": "text", "output": "json", "model": "text", "provider": "text",
    },
    expressions={
        "model_name": "raw.model",
        "model_provider": "raw.provider",
        "model_role": "CASE WHEN raw.model IS NULL THEN 'other' ELSE 'executor' END",
        "input_text": "raw.\"with\"",
        "output_text": "raw.output",
        "success_markers": markers(("raw.success AND raw.skipped IS NOT TRUE", "'node.ok'")),
        "failure_markers": markers(
            ("NOT raw.success AND raw.skipped IS NOT TRUE", "'node.failed'"), ("raw.attempts > 1", "'node.retried'"),
            ("raw.skipped", "'node.skipped'"),
        ),
        "latency_ms": (
            "TRY((epoch_us(TRY_CAST(raw.ended_at AS TIMESTAMPTZ)) - epoch_us(TRY_CAST(raw.started_at AS TIMESTAMPTZ)))"
            " / 1000)"
        ),
    },
    promoted=frozenset({"with", "output", "model", "provider"}),
    required=("node_id", "success"),
    moment="ended_at",
    key="raw.run_id || '/' || raw.node_id",
)  # fmt: skip
