"""Outcomes: one line for each report of how an answer did.

- `reward`: `score`, from -1 to 1; `output_text`: `note`; the run it is about is `outcome_of` in metadata.
- `retrieved_context.playbook_ids`: `credited`, the entries that were credited or debited.
- Success: `outcome.success` (score above 0). Failure: `outcome.failure` (below 0).
- Quarantined: no score, or one outside -1 to 1.

Belongs here: the rules of `outcomes`. Not here: the line (see lakehouse_api/routes/outcomes.py).
"""

from __future__ import annotations

from lakehouse.evidence.expressions import between, context, markers
from lakehouse.evidence.transform import Transform

OUTCOMES = Transform(
    stream="outcomes",
    version=1,
    fields={
        "outcome_of": "text", "arm": "text", "answer_id": "text", "score": "number", "success": "boolean",
        "reported_by": "text", "note": "text", "credited": "texts",
    },
    expressions={
        "model_role": "'other'",
        "output_text": "raw.note",
        "retrieved_context": context(playbook_ids="coalesce(raw.credited, [])"),
        "success_markers": markers(("raw.score > 0", "'outcome.success'")),
        "failure_markers": markers(("raw.score < 0", "'outcome.failure'")),
        "reward": "raw.score",
    },
    promoted=frozenset({"note", "credited", "score"}),
    required=("score",),
    unfit=(between("raw.score", -1, 1),),
)  # fmt: skip
