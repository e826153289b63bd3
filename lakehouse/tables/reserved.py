"""The reserved views: names that SQL always knows, typed, and empty until something is stored behind them.

Belongs here: columns with their DuckDB types (CONTRACTS.md sections 7 to 9). Not here: how views are made (see
lakehouse/query/views.py).
"""

from __future__ import annotations

_TIMES = {"created_at": "TIMESTAMP", "updated_at": "TIMESTAMP"}

RESERVED_VIEWS: dict[str, dict[str, str]] = {
    "evidence": {
        "run_id": "VARCHAR",
        "task_id": "VARCHAR",
        "timestamp": "TIMESTAMP",
        "schema_version": "INTEGER",
        "stream": "VARCHAR",
        "provenance": "STRUCT(source_key VARCHAR, line BIGINT, sha256 VARCHAR, recorded_at TIMESTAMP)",
        "model_name": "VARCHAR",
        "model_provider": "VARCHAR",
        "model_role": "VARCHAR",
        "input_text": "VARCHAR",
        "output_text": "VARCHAR",
        "input_hash": "VARCHAR",
        "output_hash": "VARCHAR",
        "retrieved_context": (
            "STRUCT(corpora VARCHAR[], hits BIGINT, kept BIGINT, dropped BIGINT,"
            " playbook_ids VARCHAR[], pathway_ids VARCHAR[])"
        ),
        "validation": "STRUCT(passed BOOLEAN, errors VARCHAR[])",
        "observer": "STRUCT(verdict VARCHAR, confidence DOUBLE, notes VARCHAR[])",
        "human_override": 'STRUCT(verdict VARCHAR, "by" VARCHAR, "at" TIMESTAMP)',
        "success_markers": "VARCHAR[]",
        "failure_markers": "VARCHAR[]",
        "reward": "DOUBLE",
        "cost_usd": "DOUBLE",
        "latency_ms": "DOUBLE",
        "prompt_tokens": "BIGINT",
        "completion_tokens": "BIGINT",
        "metadata": "VARCHAR",
    },
    "evidence_index": {
        "run_id": "VARCHAR",
        "task_id": "VARCHAR",
        "stream": "VARCHAR",
        "timestamp": "TIMESTAMP",
        "source_key": "VARCHAR",
        "line": "BIGINT",
        "sha256": "VARCHAR",
        "model_name": "VARCHAR",
        "evidence_key": "VARCHAR",
        "status": "VARCHAR",
    },
    "scored": {
        "run_id": "VARCHAR",
        "score": "VARCHAR",
        "reasons": "VARCHAR[]",
        "rules_version": "VARCHAR",
        "dt": "DATE",
        "stream": "VARCHAR",
        "task_id": "VARCHAR",
        "timestamp": "TIMESTAMP",
        "model_name": "VARCHAR",
        "model_provider": "VARCHAR",
        "rule": "VARCHAR",
        "kind_of_ground": "VARCHAR",
        "ground_truth": "DOUBLE",
        "testimony": "BIGINT",
        "record_sha256": "VARCHAR",
    },
    "receipts": {
        "asset": "VARCHAR",
        "partition": "VARCHAR",
        "run_id": "VARCHAR",
        "code_version": "VARCHAR",
        "git_commit": "VARCHAR",
        "started_at": "TIMESTAMP",
        "ended_at": "TIMESTAMP",
        "ok": "BOOLEAN",
    },
    "builds": {
        "build_id": "VARCHAR",
        "kind": "VARCHAR",
        "samples": "BIGINT",
        "created_at": "TIMESTAMP",
        "superseded_at": "TIMESTAMP",
        "superseded_by": "VARCHAR",
    },
    "replay_runs": {
        "schema": "VARCHAR",
        "run_id": "VARCHAR",
        "replay_of": "VARCHAR",
        "batch_id": "VARCHAR",
        "actor": "VARCHAR",
        "task_id": "VARCHAR",
        "arm": "VARCHAR",
        "as_of": "VARCHAR",
        "config_version": "VARCHAR",
        "seed": "BIGINT",
        "model": "VARCHAR",
        "provider": "VARCHAR",
        "question": "VARCHAR",
        "retrieved": "STRUCT(id VARCHAR, corpus VARCHAR, score DOUBLE)[]",
        "bundle_tokens": "BIGINT",
        "bundle_dropped": "BIGINT",
        "answer": "VARCHAR",
        "validation": "STRUCT(passed BOOLEAN, error VARCHAR)",
        "expected": "VARCHAR",
        "match": "STRUCT(exact BOOLEAN, score DOUBLE)",
        "prompt_tokens": "BIGINT",
        "completion_tokens": "BIGINT",
        "cost_usd": "DOUBLE",
        "latency_ms": "DOUBLE",
        "playbook_ids": "VARCHAR[]",
        "pathway_ids": "VARCHAR[]",
        "abstained": "BOOLEAN",
        "started_at": "TIMESTAMP",
        "ended_at": "TIMESTAMP",
        "as_asked": "BOOLEAN",
        "error": "VARCHAR",
    },
    "drift_reports": {
        "kind": "VARCHAR",
        "day": "DATE",
        "status": "VARCHAR",
        "verdict": "VARCHAR",
        "is_confirmed": "BOOLEAN",
        "confirmed_by": "VARCHAR",
        "baseline_version": "BIGINT",
        "rules_version": "VARCHAR",
        "created_at": "TIMESTAMP",
        "report": "VARCHAR",
    },
    "playbooks": {
        "playbook_id": "VARCHAR",
        "query": "VARCHAR",
        "answer_id": "VARCHAR",
        "answer_corpus": "VARCHAR",
        "score": "DOUBLE",
        "tags": "VARCHAR[]",
        **_TIMES,
    },
    "pathways": {
        "uid": "VARCHAR",
        "content": "VARCHAR",
        "tags": "VARCHAR[]",
        "predecessor_uid": "VARCHAR",
        "retired": "BOOLEAN",
        "retired_reason": "VARCHAR",
        "replay_count": "BIGINT",
        **_TIMES,
    },
    "observer_events": {
        "event_id": "VARCHAR",
        "source": "VARCHAR",
        "kind": "VARCHAR",
        "subject": "VARCHAR",
        "model": "VARCHAR",
        "verdict": "VARCHAR",
        "confidence": "DOUBLE",
        "success": "BOOLEAN",
        "latency_ms": "DOUBLE",
        "recorded_at": "TIMESTAMP",
    },
    "quarantine": {
        "origin": "VARCHAR",
        "raw": "VARCHAR",
        "reason": "VARCHAR",
        "record": "BIGINT",
        "line": "BIGINT",
        "refused_at": "TIMESTAMP",
    },
}

# When a row came to be, or what it tells of happened.
TIME_COLUMNS = {
    "evidence": "timestamp",
    "evidence_index": "timestamp",
    "scored": "timestamp",
    "receipts": "ended_at",
    "builds": "created_at",
    "replay_runs": "ended_at",
    "drift_reports": "created_at",
    "playbooks": "created_at",
    "pathways": "created_at",
    "observer_events": "recorded_at",
    "quarantine": "refused_at",
}

# Those that are JSON lines in the bucket, and below which prefix.
STORED_VIEWS = {"drift_reports": "drift/", "quarantine": "quarantine/", "receipts": "receipts/"}

# Where files lie that manifests of tables, or batches of replays, name.
TABLE_FOLDERS = ("evidence/", "replay/", "scored/")

# Raw lines that a view reads as they lie.
RAW_FOLDERS = ("raw/observer_events/",)

# Free text of people and models stands in these: they need the scope `pii` as a whole.
PII_VIEWS = frozenset({"evidence", "quarantine", "pathways"})

MASK = "[masked]"
"""What stands in the place of a personal value, in views, filters and answers alike."""

# Columns that are masked in the other views: what somebody asked may name people.
PERSONAL_COLUMNS = {
    "playbooks": frozenset({"query"}),
    "observer_events": frozenset({"subject"}),
    "replay_runs": frozenset({"question", "answer", "validation", "expected"}),
}
