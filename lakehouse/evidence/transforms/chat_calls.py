"""Chat calls: one line for each call of a model.

- `input_text`: `messages` as a JSON array, as chat training data has it; `output_text`: `content`, or the tool calls as
  JSON where the model said nothing else.
- `model_name`: `provider_model`, the model that answered (`model`, what was asked for, stays in metadata);
  `model_role`: `role`; `other` where it is none of the known ones.
- `retrieved_context`: the field of that name, where the call was part of an answer.
- `asked`, with what a task was asked (filter, exclusions, validation), stays in metadata as it is.
- Success: `call.ok`, `finish.stop`, `finish.tool_calls`. Failure: `call.failed`, `call.cancelled`, `finish.length`,
  `input.<marker>` and `output.<marker>` (prompt injections and personal data that were found).
- Quarantined: a status that is none of ok, failed, cancelled.

Belongs here: the rules of `chat_calls`. Not here: the line (see lakehouse/chat/call_log.py).
"""

from __future__ import annotations

from lakehouse.evidence.expressions import context_of, markers, one_of, prefixed
from lakehouse.evidence.transform import Transform
from lakehouse.tables.evidence import MODEL_ROLES

_ROLES = ", ".join(f"'{role}'" for role in MODEL_ROLES)

CHAT_CALLS = Transform(
    stream="chat_calls",
    version=2,
    fields={
        "role": "text", "model": "text", "provider": "text", "provider_model": "text", "status": "text",
        "messages": "array", "is_clipped": "boolean", "input_sha256": "text", "settings": "object", "content": "text",
        "tool_calls": "array", "finish_reason": "text", "prompt_tokens": "integer", "completion_tokens": "integer",
        "are_tokens_estimated": "boolean", "cost_usd": "number", "latency_ms": "number", "is_stream": "boolean",
        "is_frontier": "boolean", "escalated_from": "text", "attempts": "array", "error": "object",
        "input_markers": "texts", "output_markers": "texts", "retrieved_context": "object", "task": "text",
        "asked": "json",
    },
    expressions={
        "model_name": "coalesce(raw.provider_model, raw.model)",
        "model_provider": "raw.provider",
        "model_role": f"CASE WHEN raw.role IN ({_ROLES}) THEN raw.role ELSE 'other' END",
        "input_text": "raw.messages",
        "output_text": "coalesce(nullif(raw.content, ''), nullif(raw.tool_calls, '[]'), raw.content)",
        "retrieved_context": context_of("raw.retrieved_context"),
        "success_markers": markers(
            ("raw.status = 'ok'", "'call.ok'"),
            ("raw.finish_reason IN ('stop', 'tool_calls')", "'finish.' || raw.finish_reason"),
        ),
        "failure_markers": "list_concat("
        + markers(
            ("raw.status <> 'ok'", "'call.' || raw.status"),
            ("raw.finish_reason = 'length'", "'finish.length'"),
        )
        + f", {prefixed('input.', 'raw.input_markers')}, {prefixed('output.', 'raw.output_markers')})",
        "cost_usd": "raw.cost_usd",
        "latency_ms": "raw.latency_ms",
        "prompt_tokens": "raw.prompt_tokens",
        "completion_tokens": "raw.completion_tokens",
    },
    promoted=frozenset(
        {
            "provider", "provider_model", "messages", "content", "cost_usd", "latency_ms", "prompt_tokens",
            "completion_tokens", "input_markers", "output_markers",
        }
    ),
    required=("status", "messages"),
    unfit=(one_of("raw.status", "ok", "failed", "cancelled"),),
)  # fmt: skip
