"""Agent trajectories: one line for each run of an agent, as importers write them.

A line: `messages` (chat messages with tool calls and tool answers, in order; null: only the outcome is known), `tools`
(the tools' descriptions, or null), `reward` (null: hidden), `judgement` (null, or what a model thought of the run, with
its name as `by`), `task_id`, `trial` (from 0; the trials of a task are runs of their own), `model`, `provider`, `role`
(null: `executor`), `source` (the data set and file), `licence`, `timestamp` (null: unknown). An importer's `run_id` is
`<source>/<task>/<trial>`, so that importing twice adds nothing.

- `input_text`: the messages before the first of the assistant; `output_text`: that one and all that follow; both JSON
  arrays, which joined are `messages`. Both null where there are no messages: such a record says how a run ended, and
  nothing can be learned to say from it.
- `reward`: as it was published; ground truth. A `judgement` never becomes one: it is `observer`, without a verdict and
  with the judge's name as its first note, and is kept whole in metadata.
- Success: `reward.full` (1 or more). Failure: `reward.none` (0 or less); between them neither.
- Quarantined: nothing of messages, reward, judgement and cost; empty messages; a judgement without a name; no source or
  no licence.

Belongs here: the rules of `agent_trajectories`. Not here: reading the published files (an importer does).
"""

from __future__ import annotations

from lakehouse.evidence.expressions import markers
from lakehouse.evidence.transform import Transform
from lakehouse.tables.evidence import MODEL_ROLES

_ROLES = ", ".join(f"'{role}'" for role in MODEL_ROLES)
_JUDGE = "json_extract_string(raw.judgement, '$.by')"
_FIGURES = ", ".join(f"'{name} ' || json_extract_string(raw.judgement, '$.{name}')" for name in ("precision", "recall"))
_TURNS = "json_extract(raw.messages, '$[*]')"
# A position of 0 (nobody answered) makes all of it the input.
_FIRST = (
    "coalesce(nullif(list_position(json_extract_string(raw.messages, '$[*].role'), 'assistant'), 0),"
    f" len({_TURNS}) + 1)"
)

AGENT_TRAJECTORIES = Transform(
    stream="agent_trajectories",
    version=2,
    fields={
        "messages": "array", "tools": "array", "reward": "number", "trial": "integer", "model": "text",
        "provider": "text", "source": "text", "licence": "text", "timestamp": "text", "prompt_tokens": "integer",
        "completion_tokens": "integer", "cost_usd": "number", "latency_ms": "number", "role": "text",
        "judgement": "object",
    },
    expressions={
        "model_name": "raw.model",
        "model_provider": "raw.provider",
        "model_role": (
            f"CASE WHEN raw.role IS NULL THEN 'executor' WHEN raw.role IN ({_ROLES}) THEN raw.role ELSE 'other' END"
        ),
        "input_text": f"'[' || array_to_string(({_TURNS})[:{_FIRST} - 1], ',') || ']'",
        "output_text": f"'[' || array_to_string(({_TURNS})[{_FIRST}:], ',') || ']'",
        "observer": (
            f"CASE WHEN raw.judgement IS NOT NULL THEN {{'verdict': NULL, 'confidence': NULL,"
            f" 'notes': list_filter(['judge ' || {_JUDGE}, {_FIGURES}], lambda n: n IS NOT NULL)}} END"
        ),
        "success_markers": markers(("raw.reward >= 1", "'reward.full'")),
        "failure_markers": markers(("raw.reward <= 0", "'reward.none'")),
        "reward": "raw.reward",
        "cost_usd": "raw.cost_usd",
        "latency_ms": "raw.latency_ms",
        "prompt_tokens": "raw.prompt_tokens",
        "completion_tokens": "raw.completion_tokens",
    },
    promoted=frozenset(
        {
            "messages", "reward", "model", "provider", "prompt_tokens", "completion_tokens", "cost_usd", "latency_ms",
        }
    ),
    required=("source", "licence"),
    unfit=(
        ("json_array_length(raw.messages) = 0", "field 'messages' is empty"),
        (
            "raw.messages IS NULL AND raw.reward IS NULL AND raw.judgement IS NULL AND raw.cost_usd IS NULL",
            "says nothing: fields 'messages', 'reward', 'judgement' and 'cost_usd' are missing",
        ),
        (f"raw.judgement IS NOT NULL AND coalesce({_JUDGE}, '') = ''", "field 'judgement' does not say by whom ('by')"),
    ),
    moment="timestamp",
)  # fmt: skip
