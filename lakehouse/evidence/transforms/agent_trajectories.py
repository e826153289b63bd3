"""Agent trajectories: one line for each multi-turn tool-using run with a reward, as importers write them.

A line: `messages` (chat messages with tool calls and tool answers, in order), `tools` (the tools' descriptions, or
null), `reward` (null: hidden), `task_id`, `trial` (from 0; the trials of a task are runs of their own), `model`,
`provider`, `source` (the data set and file), `licence`, `timestamp` (null: unknown). An importer's `run_id` is
`<source>/<task>/<trial>`, so that importing twice adds nothing.

- `input_text`: the messages before the first of the assistant; `output_text`: that one and all that follow; both JSON
  arrays, which joined are `messages`.
- `reward`: as it was published. `model_role`: `executor`.
- Success: `reward.full` (1 or more). Failure: `reward.none` (0 or less); between them neither.
- Quarantined: no messages, no source or no licence.

Belongs here: the rules of `agent_trajectories`. Not here: reading the published files (an importer does).
"""

from __future__ import annotations

from lakehouse.evidence.expressions import markers
from lakehouse.evidence.transform import Transform

_TURNS = "json_extract(raw.messages, '$[*]')"
# A position of 0 (nobody answered) makes all of it the input.
_FIRST = (
    "coalesce(nullif(list_position(json_extract_string(raw.messages, '$[*].role'), 'assistant'), 0),"
    f" len({_TURNS}) + 1)"
)

AGENT_TRAJECTORIES = Transform(
    stream="agent_trajectories",
    version=1,
    fields={
        "messages": "array", "tools": "array", "reward": "number", "trial": "integer", "model": "text",
        "provider": "text", "source": "text", "licence": "text", "timestamp": "text", "prompt_tokens": "integer",
        "completion_tokens": "integer", "cost_usd": "number", "latency_ms": "number",
    },
    expressions={
        "model_name": "raw.model",
        "model_provider": "raw.provider",
        "model_role": "'executor'",
        "input_text": f"'[' || array_to_string(({_TURNS})[:{_FIRST} - 1], ',') || ']'",
        "output_text": f"'[' || array_to_string(({_TURNS})[{_FIRST}:], ',') || ']'",
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
    required=("messages", "source", "licence"),
    unfit=(("json_array_length(raw.messages) = 0", "field 'messages' is empty"),),
    moment="timestamp",
)  # fmt: skip
