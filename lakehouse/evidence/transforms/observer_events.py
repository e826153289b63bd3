"""Observer events: one line for each thing that an agent, a hook or a person reported (CONTRACTS.md section 7).

- `input_text`: `subject`, what it is about; `output_text`: `data` as JSON; `model_name`: `model`.
- `observer`: verdict and confidence, where there is a verdict; `model_role` is then `reviewer`, else `other`.
- Success: `observer.accept`, `event.success`. Failure: `observer.reject`, `observer.cycle`, `event.failure`.
- Quarantined: a verdict that is none of accept, reject, cycle; a confidence outside 0 to 1.

Belongs here: the rules of `observer_events`. Not here: other verdicts on runs (see reviews.py, outcomes.py).
"""

from __future__ import annotations

from lakehouse.evidence.expressions import between, markers, one_of
from lakehouse.evidence.transform import Transform

OBSERVER_EVENTS = Transform(
    stream="observer_events",
    version=1,
    fields={
        "source": "text", "kind": "text", "subject": "text", "model": "text", "verdict": "text",
        "confidence": "number", "success": "boolean", "latency_ms": "number", "data": "json",
    },
    expressions={
        "model_name": "raw.model",
        "model_role": "CASE WHEN raw.verdict IS NULL THEN 'other' ELSE 'reviewer' END",
        "input_text": "raw.subject",
        "output_text": "raw.data",
        "observer": (
            "CASE WHEN raw.verdict IS NOT NULL THEN"
            " {'verdict': raw.verdict, 'confidence': raw.confidence, 'notes': []} END"
        ),
        "success_markers": markers(
            ("raw.verdict = 'accept'", "'observer.accept'"), ("raw.success", "'event.success'")
        ),
        "failure_markers": markers(
            ("raw.verdict <> 'accept'", "'observer.' || raw.verdict"), ("NOT raw.success", "'event.failure'")
        ),
        "latency_ms": "raw.latency_ms",
    },
    promoted=frozenset({"subject", "data", "model", "latency_ms"}),
    required=("source", "kind"),
    unfit=(one_of("raw.verdict", "accept", "reject", "cycle"), between("raw.confidence", 0, 1)),
)  # fmt: skip
