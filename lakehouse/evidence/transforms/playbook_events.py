"""Playbook events: one line for each entry that was recorded, judged or deleted.

- `input_text`: `query`; `output_text`: `answer_id`; `retrieved_context.playbook_ids`: the entry.
- `reward` stays null: an endorsement is somebody's opinion, and its `score` stays in metadata.
- Success: `playbook.endorsed` (score above 0). Failure: `playbook.rejected` (below 0), `playbook.deleted`.
- Quarantined: a score outside -1 to 1.

Belongs here: the rules of `playbook_events`. Not here: the line (see lakehouse_api/routes/matrix.py).
"""

from __future__ import annotations

from lakehouse.evidence.expressions import between, context, markers
from lakehouse.evidence.transform import Transform

PLAYBOOK_EVENTS = Transform(
    stream="playbook_events",
    version=1,
    fields={
        "action": "text", "playbook_id": "text", "merged": "boolean", "score": "number", "query": "text",
        "answer_id": "text",
    },
    expressions={
        "model_role": "'other'",
        "input_text": "raw.query",
        "output_text": "raw.answer_id",
        "retrieved_context": context(playbook_ids="[raw.playbook_id]"),
        "success_markers": markers(("raw.score > 0", "'playbook.endorsed'")),
        "failure_markers": markers(
            ("raw.score < 0", "'playbook.rejected'"), ("raw.action = 'delete'", "'playbook.deleted'")
        ),
    },
    promoted=frozenset({"query", "answer_id", "playbook_id"}),
    required=("action", "playbook_id"),
    unfit=(between("raw.score", -1, 1),),
)  # fmt: skip
