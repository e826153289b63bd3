"""Pathway events: one line for each trace that was written or retired, and each search for traces.

- A write: `output_text` is `content` as JSON, `retrieved_context.pathway_ids` the trace.
- A search: `input_text` is `query`, `output_text` the uids that were found as JSON, `retrieved_context` the same uids
  with their number as `hits` and `kept`.
- Success: `pathway.<action>` for writes, `pathway.found`. Failure: `pathway.retire`, `pathway.not_found`.

Belongs here: the rules of `pathway_events`. Not here: the line (see lakehouse_api/routes/pathway.py).
"""

from __future__ import annotations

from lakehouse.evidence.expressions import context, markers
from lakehouse.evidence.transform import Transform

PATHWAY_EVENTS = Transform(
    stream="pathway_events",
    version=1,
    fields={
        "action": "text", "uid": "text", "link": "json", "content": "json", "reason": "text", "query": "text",
        "tags": "texts", "k": "integer", "found": "texts",
    },
    expressions={
        "model_role": "'other'",
        "input_text": "raw.query",
        "output_text": "coalesce(raw.content, to_json(raw.found)::VARCHAR)",
        "retrieved_context": context(
            hits="len(raw.found)",
            kept="len(raw.found)",
            pathway_ids="coalesce(raw.found, CASE WHEN raw.uid IS NOT NULL THEN [raw.uid] END, [])",
        ),
        "success_markers": markers(
            ("raw.action NOT IN ('retire', 'search') AND raw.uid IS NOT NULL", "'pathway.' || raw.action"),
            ("len(raw.found) > 0", "'pathway.found'"),
        ),
        "failure_markers": markers(
            ("raw.action = 'retire'", "'pathway.retire'"), ("len(raw.found) = 0", "'pathway.not_found'")
        ),
    },
    promoted=frozenset({"content", "query", "uid", "found"}),
    required=("action",),
)  # fmt: skip
