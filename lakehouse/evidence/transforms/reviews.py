"""Reviews: one line for each verdict of a person or a model on somebody's work.

A line: `review_of` (the run, or the thing, that was reviewed), `by`, `is_human`, `verdict` (accept, reject, cycle),
`confidence` (0 to 1), `notes`, `input` and `output` (what was reviewed, what was said), and the model's fields.

- A person's verdict is `human_override` (at the line's time), a model's is `observer`.
- `input_text`: `input`; `output_text`: `output`, or the notes as JSON; `model_role`: `reviewer`.
- Success: `review.accept`. Failure: `review.reject`, `review.cycle`.
- Quarantined: no reviewer, or a verdict that is none of these; a confidence outside 0 to 1.

Belongs here: the rules of `reviews`. Not here: whose verdict wins (the scorer decides).
"""

from __future__ import annotations

from lakehouse.evidence.expressions import between, markers, one_of
from lakehouse.evidence.transform import Transform

REVIEWS = Transform(
    stream="reviews",
    version=1,
    fields={
        "review_of": "text", "by": "text", "is_human": "boolean", "verdict": "text", "confidence": "number",
        "notes": "texts", "input": "text", "output": "text", "model": "text", "provider": "text",
        "prompt_tokens": "integer", "completion_tokens": "integer", "cost_usd": "number", "latency_ms": "number",
    },
    expressions={
        "model_name": "raw.model",
        "model_provider": "raw.provider",
        "model_role": "'reviewer'",
        "input_text": "raw.input",
        "output_text": "coalesce(raw.output, to_json(raw.notes)::VARCHAR)",
        "observer": (
            "CASE WHEN NOT raw.is_human THEN {'verdict': raw.verdict, 'confidence': raw.confidence,"
            " 'notes': coalesce(raw.notes, [])} END"
        ),
        "human_override": "CASE WHEN raw.is_human THEN {'verdict': raw.verdict, 'by': raw.by, 'at': moment} END",
        "success_markers": markers(("raw.verdict = 'accept'", "'review.accept'")),
        "failure_markers": markers(("raw.verdict <> 'accept'", "'review.' || raw.verdict")),
        "cost_usd": "raw.cost_usd",
        "latency_ms": "raw.latency_ms",
        "prompt_tokens": "raw.prompt_tokens",
        "completion_tokens": "raw.completion_tokens",
    },
    promoted=frozenset(
        {"input", "output", "model", "provider", "cost_usd", "latency_ms", "prompt_tokens", "completion_tokens"}
    ),
    required=("by", "is_human", "verdict"),
    unfit=(one_of("raw.verdict", "accept", "reject", "cycle"), between("raw.confidence", 0, 1)),
)  # fmt: skip
