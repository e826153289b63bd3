"""Rows: `replay_run.v1` of one task under one arm, and the same as a raw line.

Belongs here: what a row says, when it is done. Not here: the columns (see lakehouse/tables/replay_runs.py), how the
line becomes evidence (see lakehouse/evidence/transforms/replay_runs.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson

from lakehouse.answer.request import Answer
from lakehouse.catalog.manifest import format_utc, parse_utc
from lakehouse.clock import new_id
from lakehouse.errors import LakehouseError
from lakehouse.events.envelope import make_line
from lakehouse.replay.arms import ResolvedArm
from lakehouse.replay.batch import Batch, Unit
from lakehouse.replay.matching import Said, match_of
from lakehouse.replay.task import ReplayTask

SCHEMA = "replay_run.v1"
STREAM = "replay_runs"
_LEAST_SERVER_FAULT = 500


def answered_row(
    batch: Batch, unit: Unit, task: ReplayTask, answer: Answer, *, started_at: datetime, ended_at: datetime
) -> dict[str, Any]:
    """The row of a task that was answered, or whose answer was refused."""
    named = [citation.id for citation in answer.citations if citation.is_used]
    said = Said(answer.answer, named, is_abstention=answer.model is None)
    match = match_of(task.expected, said)
    error = answer.validation.error
    return _row(batch, unit, task, started_at, ended_at) | {
        "model": answer.model,
        "provider": answer.provider,
        "retrieved": [asdict(found) for found in answer.retrieved],
        "bundle_tokens": answer.bundle_tokens,
        "bundle_dropped": answer.bundle_dropped,
        "answer": answer.answer,
        "validation": {
            "passed": answer.validation.passed,
            "error": None if error is None else orjson.dumps(error).decode(),
        },
        "match": None if match is None else asdict(match),
        "prompt_tokens": answer.usage.prompt_tokens,
        "completion_tokens": answer.usage.completion_tokens,
        "cost_usd": answer.cost_usd,
        "playbook_ids": list(answer.playbook_ids),
        "pathway_ids": list(answer.pathway_ids),
        "abstained": answer.model is None,
    }


def failed_row(
    batch: Batch, unit: Unit, task: ReplayTask, error: LakehouseError, *, started_at: datetime, ended_at: datetime
) -> dict[str, Any]:
    """The row of a task that was not answered."""
    return _row(batch, unit, task, started_at, ended_at) | {"error": {"status": error.status, "detail": error.detail}}


def is_done(row: Mapping[str, Any]) -> bool:
    """Whether nobody has to ask again: it was answered, or refused for a reason of its own."""
    error = row.get("error")
    return error is None or int(error.get("status", 0)) < _LEAST_SERVER_FAULT


def outcome_text(row: Mapping[str, Any]) -> str:
    """What became of a row's task, for people: `right`, `missed (score 0.50)`, `answered` or `failed: …`."""
    match, error = row.get("match"), row.get("error")
    if error is not None:
        return f"failed: {error['detail']}"
    if match is None:
        return "answered"
    return "right" if match["exact"] else f"missed (score {match['score']:.2f})"


def row_bytes(row: Mapping[str, Any]) -> bytes:
    """The stored bytes of a row."""
    return orjson.dumps(row)


def raw_lines(rows: list[dict[str, Any]]) -> tuple[bytes, str]:
    """The raw lines of all rows of a task, and the day that they belong to: the same for the same rows."""
    recorded_at = max(parse_utc(row["ended_at"]) for row in rows)
    lines = b"".join(make_line(STREAM, row, run_id=row["run_id"], recorded_at=recorded_at) for row in rows)
    return lines, f"{recorded_at:%Y-%m-%d}"


def _row(batch: Batch, unit: Unit, task: ReplayTask, started_at: datetime, ended_at: datetime) -> dict[str, Any]:
    arm: ResolvedArm = batch.arm(unit.arm)
    return {
        "schema": SCHEMA,
        "run_id": new_id(),
        "replay_of": task.replay_of,
        "as_asked": task.as_asked,
        "batch_id": batch.batch_id,
        "actor": batch.by,
        "task_id": task.task_id,
        "arm": arm.name,
        "as_of": batch.cut.to_document(),
        "config_version": arm.config_version,
        "seed": batch.seed,
        "model": None,
        "provider": None,
        "question": task.question,
        "retrieved": [],
        "bundle_tokens": None,
        "bundle_dropped": None,
        "answer": None,
        "validation": None,
        "expected": task.expected,
        "match": None,
        "prompt_tokens": None,
        "completion_tokens": None,
        "cost_usd": None,
        "latency_ms": round((ended_at - started_at).total_seconds() * 1000, 3),
        "playbook_ids": [],
        "pathway_ids": [],
        "abstained": False,
        "started_at": format_utc(started_at),
        "ended_at": format_utc(ended_at),
        "error": None,
    }
