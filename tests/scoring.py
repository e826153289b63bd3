"""Scores of records in memory, for tests: records or raw lines in, rows and refused labels as Python values out."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.adapters.scoring_engine import ScoredCounts, ScoringEngine
from lakehouse.scoring import RuleSet, default_rules
from lakehouse.tables.evidence import evidence_schema

Record = dict[str, Any]
START = datetime(2026, 3, 1, 9)  # noqa: DTZ001 - evidence has UTC without a zone
_numbers = itertools.count()


@dataclass(frozen=True)
class Told:
    rows: list[Record]
    refused: list[Record]
    counts: ScoredCounts
    file_bytes: dict[date, bytes]

    def of(self, run_id: str) -> Record:
        [row] = [row for row in self.rows if row["run_id"] == run_id]
        return row


class Scorer:
    """Holds a DuckDB and a folder."""

    def __init__(self, rules: RuleSet | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="scoring-"))
        self.engine = ScoringEngine(rules or default_rules())
        self.connection = duckdb.connect(config={"threads": 2})

    def close(self) -> None:
        self.connection.close()
        shutil.rmtree(self.folder)

    def score(self, records: Sequence[Record], days: Sequence[date] | None = None) -> Told:
        target = self.folder / str(next(_numbers))
        target.mkdir()
        self.connection.register("evidence", pa.Table.from_pylist(list(records), schema=evidence_schema()))
        scored = self.engine.score(self.connection, days, target)
        rows = [row for path in scored.files.values() for row in pq.ParquetFile(path).read().to_pylist()]
        refused = (
            [] if scored.quarantine is None else list(map(json.loads, scored.quarantine.read_bytes().splitlines()))
        )
        assert scored.counts.runs == len(rows) == sum(scored.counts.by_score.values())
        assert scored.counts.quarantined == len(refused)
        assert [(row["dt"], row["run_id"], row["stream"]) for row in rows] == sorted(
            (row["dt"], row["run_id"], row["stream"]) for row in rows
        )
        file_bytes = {day: path.read_bytes() for day, path in scored.files.items()}
        shutil.rmtree(target)
        return Told(rows, refused, scored.counts, file_bytes)

    def touched(self, records: Sequence[Record], days: Sequence[date]) -> list[date]:
        self.connection.register("evidence", pa.Table.from_pylist(list(records), schema=evidence_schema()))
        return self.engine.days_touched(self.connection, days)


def day(number: int) -> date:
    return START.date() + timedelta(days=number - 1)


def record(stream: str, run_id: str, *, on: int = 1, minute: int = 0, metadata: Mapping[str, Any] | None = None,
           **fields: Any) -> Record:  # fmt: skip
    """A record of a stream that was written on a day (from 1), so many minutes after 9 o'clock."""
    moment = START + timedelta(days=on - 1, minutes=minute)
    known = json.dumps([stream, run_id, on, minute, dict(metadata or {}), fields], sort_keys=True, default=str)
    source = {
        "source_key": f"raw/{stream}/dt={moment.date().isoformat()}/a.jsonl", "line": 1,
        "sha256": hashlib.sha256(known.encode()).hexdigest(), "recorded_at": moment,
    }  # fmt: skip
    usual = {
        "run_id": run_id, "timestamp": moment, "schema_version": 1, "stream": stream, "provenance": source,
        "success_markers": [], "failure_markers": [],
        "metadata": json.dumps(dict(metadata or {}), separators=(",", ":")),
    }  # fmt: skip
    return {**usual, **fields}


def call(run_id: str, **given: Any) -> Record:
    usual: Record = {
        "model_name": "smollm2-135m", "model_role": "executor", "output_text": "Ana Ruiz (w-17).",
        "success_markers": ["call.ok"], "metadata": {"trace_id": f"trace-{run_id}"},
    }  # fmt: skip
    return record("chat_calls", run_id, **(usual | given))


def trajectory(run_id: str, messages: Sequence[Mapping[str, Any]] | None = None, **given: Any) -> Record:
    said = messages if messages is not None else [{"role": "assistant", "content": "It is done."}]
    usual = {"model_name": "gpt-4o", "model_role": "executor", "output_text": json.dumps(said, separators=(",", ":"))}
    return record("agent_trajectories", run_id, **(usual | given))


def outcome(about: str, score: float, *, name: str = "o", by: str = "ops", answer: str | None = None,
            **given: Any) -> Record:  # fmt: skip
    metadata = {"outcome_of": about, "actor": by, "answer_id": answer}
    return record("outcomes", f"{name}-{about}-{by}-{answer}-{score}", metadata=metadata, reward=score, **given)


def review(about: str, verdict: str, *, by: str = "dana", model: str | None = None, confidence: float | None = None,
           **given: Any) -> Record:  # fmt: skip
    made = record("reviews", f"r-{about}-{by}-{model}-{verdict}", metadata={"review_of": about, "by": by}, **given)
    if model is None:
        made["human_override"] = {"verdict": verdict, "by": by, "at": made["timestamp"]}
    else:
        made["model_name"] = model
        made["observer"] = {"verdict": verdict, "confidence": confidence, "notes": []}
    return made


def event(about: str, verdict: str, *, model: str | None = None, **given: Any) -> Record:
    observer = {"verdict": verdict, "confidence": None, "notes": []}
    name = f"e-{about}-{verdict}-{model}"
    metadata = {"source": "hook", "kind": "check"}
    return record("observer_events", name, input_text=about, model_name=model, observer=observer, metadata=metadata,
                  **given)  # fmt: skip


def validation(trace: str, passed: bool, *, kind: str = "email", **given: Any) -> Record:
    made = {"passed": passed, "errors": [] if passed else ["to: no address"]}
    return record("validations", f"v-{trace}-{kind}-{passed}", validation=made,
                  metadata={"trace_id": trace, "kind": kind}, **given)  # fmt: skip
