"""Validations: one line for each artifact that was validated.

- `input_text`: the artifact as it was logged; `validation`: `passed`, and `field: reason` of the refusal.
- `model_role`: `verifier`, with no model: rules decided.
- Success and failure markers: as the line has them (rules that refused, rules that found something).
- Quarantined: no verdict; an `input_hash` that is not that of `input_text`.

Belongs here: the rules of `validations`. Not here: the line (see lakehouse/validation/log_line.py).
"""

from __future__ import annotations

from lakehouse.evidence.transform import Transform

VALIDATIONS = Transform(
    stream="validations",
    version=1,
    fields={
        "kind": "text", "passed": "boolean", "error": "object", "rule": "text", "rules_version": "json",
        "findings": "array", "success_markers": "texts", "failure_markers": "texts", "input_text": "text",
        "input_hash": "text", "context": "text", "is_cut": "boolean", "latency_ms": "number",
    },
    expressions={
        "model_role": "'verifier'",
        "input_text": "raw.input_text",
        "validation": (
            "{'passed': raw.passed, 'errors': CASE WHEN raw.error IS NULL THEN [] ELSE"
            " [concat_ws(': ', raw.error ->> '$.field', coalesce(raw.error ->> '$.reason', raw.rule))] END}"
        ),
        "success_markers": "coalesce(raw.success_markers, [])",
        "failure_markers": "coalesce(raw.failure_markers, [])",
        "latency_ms": "raw.latency_ms",
    },
    promoted=frozenset({"success_markers", "failure_markers", "input_text", "input_hash", "latency_ms"}),
    required=("kind", "passed"),
    unfit=(("raw.input_hash <> sha256(raw.input_text)", "field 'input_hash' is not that of 'input_text'"),),
)  # fmt: skip
