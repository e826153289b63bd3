"""Replay runs: one line for each `replay_run.v1` (CONTRACTS.md section 9), a question of the past asked again.

- `timestamp`: `ended_at`; `input_text`: `question`; `output_text`: `answer`; `model_role`: `executor`.
- `retrieved_context`: corpora of `retrieved`, sorted, its length as `hits`; `bundle_dropped` as `dropped`;
  `playbook_ids` and `pathway_ids` as they are.
- `validation`: `passed`, and `error` where there is one; `reward`: `match.score`, for `expected` is ground truth.
- Success: `match.exact`, `validation.passed`. Failure: `match.missed`, `validation.failed`, `run.error`.
- Quarantined: another `schema`.

Belongs here: the rules of `replay_runs`. Not here: verdicts over a batch of replays.
"""

from __future__ import annotations

from lakehouse.evidence.expressions import context, markers, one_of
from lakehouse.evidence.transform import Transform

_PASSED = "TRY_CAST(raw.validation ->> '$.passed' AS BOOLEAN)"
_EXACT = "TRY_CAST(raw.match ->> '$.exact' AS BOOLEAN)"
_FOUND = "json_array_length(raw.retrieved)"

REPLAY_RUNS = Transform(
    stream="replay_runs",
    version=2,
    fields={
        "schema": "text", "replay_of": "text", "arm": "text", "as_of": "json", "model": "text", "provider": "text",
        "question": "text", "retrieved": "array", "bundle_tokens": "integer", "bundle_dropped": "integer",
        "answer": "text", "validation": "object", "expected": "json", "match": "object", "prompt_tokens": "integer",
        "completion_tokens": "integer", "cost_usd": "number", "latency_ms": "number", "started_at": "text",
        "ended_at": "text", "error": "json",
        "playbook_ids": "texts", "pathway_ids": "texts",
    },
    expressions={
        "model_name": "raw.model",
        "model_provider": "raw.provider",
        "model_role": "'executor'",
        "input_text": "raw.question",
        "output_text": "raw.answer",
        "retrieved_context": context(
            corpora="coalesce(list_sort(list_distinct(json_extract_string(raw.retrieved, '$[*].corpus'))), [])",
            hits=_FOUND,
            kept=f"{_FOUND} - coalesce(raw.bundle_dropped, 0)",
            dropped="raw.bundle_dropped",
            playbook_ids="coalesce(raw.playbook_ids, [])",
            pathway_ids="coalesce(raw.pathway_ids, [])",
        ),
        "validation": (
            f"CASE WHEN raw.validation IS NOT NULL THEN {{'passed': {_PASSED}, 'errors':"
            " list_filter([raw.validation ->> '$.error'], lambda e: e IS NOT NULL)} END"
        ),
        "success_markers": markers((_EXACT, "'match.exact'"), (_PASSED, "'validation.passed'")),
        "failure_markers": markers(
            (f"NOT {_EXACT}", "'match.missed'"),
            (f"NOT {_PASSED}", "'validation.failed'"),
            ("raw.error IS NOT NULL", "'run.error'"),
        ),
        "reward": "TRY_CAST(raw.match ->> '$.score' AS DOUBLE)",
        "cost_usd": "raw.cost_usd",
        "latency_ms": "raw.latency_ms",
        "prompt_tokens": "raw.prompt_tokens",
        "completion_tokens": "raw.completion_tokens",
    },
    promoted=frozenset(
        {
            "model", "provider", "question", "answer", "prompt_tokens", "completion_tokens", "cost_usd", "latency_ms",
            "playbook_ids", "pathway_ids",
        }
    ),
    required=("question",),
    unfit=(one_of("raw.schema", "replay_run.v1"),),
    moment="ended_at",
)  # fmt: skip
