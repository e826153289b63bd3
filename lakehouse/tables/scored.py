"""Scored: one row for each run that can be judged, with its score, the rule that decided and every reason.

The key is `run_id` with `stream`. Files lie in `scored/dt=YYYY-MM-DD/`; the day is that of the run's raw line, however
late somebody judged it.

Belongs here: the Arrow schema, what each column means, the scores. Not here: how a run comes
by its score (see lakehouse/scoring), the empty view of the same columns (see reserved.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    import pyarrow as pa

Score: TypeAlias = Literal["accepted", "partially_accepted", "rejected", "needs_human_review"]
SCORES: tuple[Score, ...] = get_args(Score)

MEANING: dict[str, str] = {
    "run_id": "The run, as in evidence.",
    "score": "`accepted`, `partially_accepted`, `rejected` or `needs_human_review`.",
    "reasons": "The reason of the rule that decided, then those of all others that hold, in order.",
    "rules_version": "Version of the rules.",
    "dt": "The run's day, which is that of its raw object.",
    "stream": "The stream it came from.",
    "task_id": "The task it belongs to.",
    "timestamp": "When it happened, UTC.",
    "model_name": "The model that ran.",
    "model_provider": "Who served it.",
    "rule": "Name of the rule that decided.",
    "kind_of_ground": "What the score rests on: `human`, `ground_truth`, `validator`, `judge` or `heuristic`.",
    "ground_truth": "The published reward, else the mean of the outcomes that count; null where there is neither.",
    "testimony": "How many words of others about it counted.",
    "record_sha256": "SHA-256 of the raw line, as in `provenance` of evidence.",
}


def scored_schema() -> pa.Schema:
    """The columns of scored.

    Returns:
        The schema, in order; rows stand in the order of `run_id`, then `stream`. Source: CONTRACTS.md section 8.
    """
    import pyarrow as pa

    text = pa.string()
    types = {
        "run_id": text,
        "score": text,
        "reasons": pa.list_(text),
        "rules_version": text,
        "dt": pa.date32(),
        "stream": text,
        "task_id": text,
        "timestamp": pa.timestamp("us"),
        "model_name": text,
        "model_provider": text,
        "rule": text,
        "kind_of_ground": text,
        "ground_truth": pa.float64(),
        "testimony": pa.int64(),
        "record_sha256": text,
    }
    return pa.schema(types)
