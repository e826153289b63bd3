"""What `/v1/lineage` answers.

Belongs here: its shapes. Not here: what is found (see lakehouse/lineage/answer.py).
"""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lakehouse.lineage.answer import CHECKS, Check, Side, Status
from lakehouse.lineage.reference import Kind

_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_RUN = "tau-bench/retail/0/gpt-4o"
_SAMPLE: dict[str, Any] = {
    "kind": "sft",
    "build_id": "5a0c7a1d6f0f8d3b4f0e6f3c2b1a9d8e",
    "sample_id": "0c1d2e3f405162738495a6b7c8d9eaf0",
    "form": "chat",
    "split": "train",
    "row": 17,
    "openai_row": 17,
    "rows": 1,
    "side": "origin",
    "run_id": _RUN,
    "sha256": _SHA256,
}
_LINE: dict[str, Any] = {
    "source_key": "raw/agent_trajectories/dt=2026-03-01/tau-bench.jsonl",
    "line": 17,
    "sha256": _SHA256,
    "stream": "agent_trajectories",
    "status": "serves",
    "check": "verified",
    "found_sha256": _SHA256,
    "evidence_key": f"evidence/agent_trajectories/dt=2026-03-01/{_SHA256}.parquet",
}
_SCORE: dict[str, Any] = {
    "dt": "2026-03-01",
    "stream": "agent_trajectories",
    "score": "accepted",
    "rule": "reward_full",
    "rules_version": "1-4f0e6f3c",
    "record_sha256": _SHA256,
    "key": f"scored/dt=2026-03-01/{_SHA256}.parquet",
}
_EXAMPLE: dict[str, Any] = {
    "id": _SAMPLE["sample_id"],
    "kind": "sample",
    "is_sound": True,
    "samples": [_SAMPLE],
    "lines": [],
    "runs": [
        {
            "run_id": _RUN,
            "lines": [_LINE],
            "scores": [_SCORE],
            "samples": [_SAMPLE],
            "receipts": [
                {
                    "asset": "evidence/agent_trajectories",
                    "partition": "2026-03-01",
                    "key": "receipts/evidence/agent_trajectories/2026-03-01/0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c.json",
                }
            ],
            "is_truncated": False,
            "pathways": ["6d3c1a52-9a51-5f43-8c1e-0f6a3a1d2b3c"],
            "playbooks": [],
            "withdrawn": [],
            "retractions": [],
            "is_sound": True,
        }
    ],
}


class RawLineOf(BaseModel):
    """A raw line that a run was logged by, held against the bytes that lie there."""

    source_key: str
    line: int = Field(description="In the object, from 1.")
    sha256: str = Field(description="What evidence was made of.")
    stream: str
    status: Status = Field(description="Whether the record of it serves, and why not.")
    check: Check = Field(description="; ".join(f"`{name}`: {meaning}" for name, meaning in CHECKS.items()) + ".")
    found_sha256: str | None = Field(description="Of the bytes that lie there; null where there are none.")
    evidence_key: str | None


class ScoreOf(BaseModel):
    """A score of a run, and the file that has it."""

    dt: date
    stream: str
    score: Literal["accepted", "partially_accepted", "rejected", "needs_human_review"]
    rule: str
    rules_version: str
    record_sha256: str
    key: str


class SampleOf(BaseModel):
    """A sample of a build, one side of it."""

    kind: str
    build_id: str
    sample_id: str
    form: str
    split: str
    row: int = Field(description="Of its first row in the Parquet file of form and split, from 0.")
    openai_row: int | None
    rows: int
    side: Side = Field(description="`other`: something else is preferred to this run.")
    run_id: str
    sha256: str = Field(description="Of the raw line that it was made of.")


class ReceiptRef(BaseModel):
    """A receipt that tells of the making of something that the run is in."""

    asset: str
    partition: str
    key: str


class RetractedByOf(BaseModel):
    """What took a run out."""

    kind: Literal["run", "subject"] = Field(description="By the run's id, or for a subject that occurs in it.")
    at: str
    by: str
    reason: str = Field(description="`[masked]` without the scope `pii`.")


class WithdrawnTraceOf(BaseModel):
    """A trace that was learned of a run and gives way."""

    uid: str
    state: Literal["retired", "revised"]
    at: str | None
    reason: str | None = Field(description="Of a retirement; `[masked]` without the scope `pii`.")
    revised_by: list[str] = Field(description="Uids of the traces that revise it.")


class RunOf(BaseModel):
    """Everything that is known of one run."""

    run_id: str
    lines: list[RawLineOf]
    scores: list[ScoreOf]
    samples: list[SampleOf]
    receipts: list[ReceiptRef]
    pathways: list[str] = Field(description="Uids of traces that were learned of it.")
    playbooks: list[str] = Field(description="Ids of playbook entries that were learned of it.")
    withdrawn: list[WithdrawnTraceOf] = Field(description="Those of the traces that serve no more, since when, why.")
    retractions: list[RetractedByOf] = Field(description="Of a run that was retracted: when, by whom, why.")
    is_truncated: bool = Field(description="It is in more samples than are listed.")
    is_sound: bool = Field(description="A line of it serves, and every line lies where it was, as it was.")


class LineageAnswer(BaseModel):
    """Where something comes from, and what was made of it: ids, keys, numbers and hashes, no text."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: str
    kind: Kind
    is_sound: bool = Field(description="Its runs are sound, and it was made of the lines that serve.")
    samples: list[SampleOf] = Field(description="Where a sample or chunk was asked for: it, in each build that has it.")
    lines: list[RawLineOf] = Field(description="Where a raw line was asked for that is in no record that serves: it.")
    runs: list[RunOf]
