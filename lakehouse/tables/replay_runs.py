"""Replay runs: `replay_run.v1`, one row for each task and arm of a batch (CONTRACTS.md section 9).

Belongs here: the Arrow schema, the key, the order, what each column means. Not here: how a row is made (see
lakehouse/replay/row.py), the empty view of the same columns (see reserved.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    import pyarrow as pa


MEANING: dict[str, str] = {
    "schema": "`replay_run.v1`.",
    "run_id": "Id of this run; the key.",
    "replay_of": "The run of the past that it repeats; null where the task came from a file.",
    "batch_id": "The batch, whose folder is `replay/<batch_id>/`.",
    "actor": "Who began the batch.",
    "task_id": "The same question has the same id in every arm and batch.",
    "arm": "The arm it ran under.",
    "as_of": "JSON: the versions of datasets, corpora and memory logs that it read.",
    "config_version": "Configs it ran under; `~` and a hash where the arm changed fields.",
    "seed": "Asked of the model.",
    "model": "The model that answered; null where none was asked.",
    "provider": "Who served it.",
    "question": "What was asked.",
    "retrieved": "What was found, best first, whether or not there was room for it.",
    "bundle_tokens": "Tokens of what was shown.",
    "bundle_dropped": "Records that had no room.",
    "answer": "What left; null when it was refused, or nobody answered.",
    "validation": "Whether it was grounded and valid; `error` is the tagged form as JSON text.",
    "expected": "JSON: what the right answer is; null where nobody knows.",
    "match": "Whether it is that, and how near, 0 to 1; null where nothing was expected.",
    "prompt_tokens": "Tokens that went in.",
    "completion_tokens": "Tokens that came out.",
    "cost_usd": "What the model cost.",
    "latency_ms": "How long it took.",
    "playbook_ids": "Playbook entries behind what was shown.",
    "pathway_ids": "Traces that were shown.",
    "abstained": "True when no model was asked, for nothing was found.",
    "started_at": "UTC.",
    "ended_at": "UTC.",
    "as_asked": "Whether it was asked as `replay_of` was: filter, exclusions, validation; false: those are not known.",
    "error": "Why nobody answered: status and reason; null where somebody did.",
}


def replay_schema() -> pa.Schema:
    """The columns of replay runs.

    Returns:
        The schema, in order; times are UTC without a zone, as the view `replay_runs` has them.
    """
    import pyarrow as pa

    text, integer, number, moment = pa.string(), pa.int64(), pa.float64(), pa.timestamp("us")
    retrieved = pa.list_(pa.struct({"id": text, "corpus": text, "score": number}))
    special = {
        "seed": integer, "retrieved": retrieved, "bundle_tokens": integer, "bundle_dropped": integer,
        "validation": pa.struct({"passed": pa.bool_(), "error": text}),
        "match": pa.struct({"exact": pa.bool_(), "score": number}),
        "prompt_tokens": integer, "completion_tokens": integer, "cost_usd": number, "latency_ms": number,
        "playbook_ids": pa.list_(text), "pathway_ids": pa.list_(text), "abstained": pa.bool_(), "as_asked": pa.bool_(),
        "started_at": moment, "ended_at": moment,
    }  # fmt: skip
    return pa.schema({name: special.get(name, text) for name in MEANING})


def replay_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as its columns: JSON documents as text, times without a zone."""
    error = row.get("error")
    expected = row.get("expected")
    return {name: row.get(name) for name in MEANING} | {
        "as_of": orjson.dumps(row.get("as_of")).decode(),
        "expected": None if expected is None else orjson.dumps(expected).decode(),
        "error": None if error is None else f"{error['status']} {error['detail']}",
        "started_at": _naive(row["started_at"]),
        "ended_at": _naive(row["ended_at"]),
    }


def _naive(moment: str) -> datetime:
    return datetime.fromisoformat(moment).astimezone(UTC).replace(tzinfo=None)
