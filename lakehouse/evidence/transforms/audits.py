"""Audits: one line for each request or run that changed or read something.

- `run_id`: the line's; behind the lines of an orchestrator's run, which has several, stands `/<action>/<subject>`.
- `input_text`: `<action> <subject>`; `latency_ms`: `elapsed_ms`; no model, `model_role`: `other`.
- Success: `action.ok`. Failure: `action.refused`, `action.failed`, `action.cancelled`.
- Quarantined: a status that is none of these.

Belongs here: the rules of `audits`. Not here: the line (see lakehouse_api/middleware_audit.py).
"""

from __future__ import annotations

from lakehouse.evidence.expressions import markers, one_of
from lakehouse.evidence.transform import Transform

AUDITS = Transform(
    stream="audits",
    version=1,
    fields={
        "action": "text", "subject": "text", "method": "text", "status": "text", "http_status": "integer",
        "elapsed_ms": "number", "client": "text", "scopes": "texts", "rows": "integer", "bytes": "integer",
    },
    expressions={
        "model_role": "'other'",
        "input_text": "concat_ws(' ', raw.action, raw.subject)",
        "success_markers": markers(("raw.status = 'ok'", "'action.ok'")),
        "failure_markers": markers(("raw.status <> 'ok'", "'action.' || raw.status")),
        "latency_ms": "raw.elapsed_ms",
    },
    promoted=frozenset({"elapsed_ms"}),
    required=("action", "status"),
    unfit=(one_of("raw.status", "ok", "refused", "failed", "cancelled"),),
    key=(
        "CASE WHEN raw.client = 'dagster' THEN concat_ws('/', raw.run_id, raw.action, raw.subject)"
        " ELSE raw.run_id END"
    ),
)  # fmt: skip
