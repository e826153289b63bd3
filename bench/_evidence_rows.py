"""Records of evidence as the platform's streams have them, made by SQL: deterministic, each row its own texts.

Of a hundred records 60 are calls, 6 nodes, 4 replays and 2 trajectories of 24 messages (runs: 72), 12 validations,
8 outcomes, 3 reviews, 3 observer events and 2 searches.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import duckdb

from lakehouse.tables.reserved import RESERVED_VIEWS

DAYS = 10
STREAMS = (
    "chat_calls", "workflow_nodes", "replay_runs", "agent_trajectories", "validations", "outcomes", "reviews",
    "observer_events", "searches",
)  # fmt: skip
_STREAMS = """CASE WHEN slot < 60 THEN 'chat_calls' WHEN slot < 66 THEN 'workflow_nodes'
  WHEN slot < 70 THEN 'replay_runs'
  WHEN slot < 72 THEN 'agent_trajectories' WHEN slot < 84 THEN 'validations' WHEN slot < 92 THEN 'outcomes'
  WHEN slot < 95 THEN 'reviews' WHEN slot < 98 THEN 'observer_events' ELSE 'searches' END"""
_TEXT = (
    "'Crew for order ' || n || ': ' || array_to_string(list_transform(range(12), lambda i: md5((n + i)::VARCHAR)), ' ')"
)
_TURNS = """'[' || array_to_string(list_transform(range(12), lambda i:
  '{"role":"assistant","content":"step ' || i || ' of ' || n || '","tool_calls":[{"id":"c' || i
  || '","type":"function","function":{"name":"find_' || (i % 4)
  || '","arguments":"{\\"q\\":' || (n + i) || '}"}}]},'
  || '{"role":"tool","tool_call_id":"c' || i || '","content":"'
  || CASE WHEN (n + i) % 17 = 0 THEN 'Error: none' ELSE 'found ' || md5((n * i)::VARCHAR) END || '"}'), ',')
  || ',{"role":"assistant","content":"done with ' || n || '"}]'"""


def write_evidence(folder: Path, count: int) -> list[Path]:
    """Write evidence as Parquet, a file for each stream and day, and name the files."""
    typed = RESERVED_VIEWS["evidence"]
    # A word about a run is about the call at the begin of its own hundred, or of one three days before.
    about = f"'run-' || lpad(CAST(n - slot + (n // 100 + slot) % 60 - CASE WHEN n % 7 = 0 THEN {count // 1000} * 100 * 3 ELSE 0 END AS VARCHAR), 9, '0')"  # noqa: E501
    made = {
        "run_id": "'run-' || lpad(CAST(n AS VARCHAR), 9, '0')",
        "task_id": "'task-' || (n // 4)",
        "timestamp": "moment",
        "schema_version": "1",
        "stream": "stream",
        "provenance": (
            "{'source_key': 'raw/' || stream || '/dt=' || strftime(moment, '%Y-%m-%d') || '/part.jsonl', 'line': n + 1,"
            " 'sha256': sha256(n::VARCHAR), 'recorded_at': moment}"
        ),
        "model_name": (
            "CASE WHEN stream IN ('reviews', 'observer_events') THEN (['gpt-oss:20b', 'smollm2-1.7b'])[n % 2 + 1]"
            " WHEN slot < 72 THEN 'smollm2-135m' END"
        ),
        "model_provider": "CASE WHEN slot < 72 THEN 'embedded' END",
        "model_role": "CASE WHEN slot < 72 THEN 'executor' ELSE 'other' END",
        "input_text": f"CASE WHEN stream = 'observer_events' THEN {about} ELSE {_TEXT} END",
        "output_text": (
            f"CASE WHEN stream = 'agent_trajectories' THEN {_TURNS}"
            " WHEN slot < 70 THEN 'Ana Ruiz for ' || md5(n::VARCHAR) || repeat(' and then the next shift', n % 12) END"
        ),
        "input_hash": "sha256(n::VARCHAR)",
        "output_hash": "sha256(n::VARCHAR)",
        "validation": (
            "CASE WHEN stream = 'validations' THEN {'passed': n % 5 > 0, 'errors': []}"
            " WHEN stream = 'replay_runs' THEN {'passed': n % 3 > 0, 'errors': []} END"
        ),
        "observer": (
            "CASE WHEN stream = 'observer_events' OR (stream = 'reviews' AND n % 2 = 0) THEN"
            " {'verdict': (['accept', 'reject', 'cycle'])[n % 3 + 1], 'confidence': 0.8, 'notes': []} END"
        ),
        "human_override": (
            "CASE WHEN stream = 'reviews' AND n % 2 = 1 THEN"
            " {'verdict': (['accept', 'reject', 'approve'])[n % 3 + 1], 'by': 'dana', 'at': moment} END"
        ),
        "success_markers": "['call.ok', 'finish.stop']",
        "failure_markers": (
            "CASE WHEN n % 40 = 0 THEN ['finish.length'] WHEN n % 41 = 0 THEN ['call.failed']"
            " WHEN n % 97 = 0 THEN ['input.injection.override'] ELSE [] END"
        ),
        "reward": (
            "CASE WHEN stream = 'outcomes' THEN (n % 9 - 4) / 4 WHEN stream = 'replay_runs' THEN (n % 3) / 2 END"
        ),
        "cost_usd": "0.0",
        "latency_ms": "n % 997",
        "prompt_tokens": "n % 501",
        "completion_tokens": "n % 93",
        "metadata": (
            "'{\"trace_id\":\"tr-' || (CASE WHEN stream = 'validations' THEN n - slot + slot % 60 ELSE n END)"
            ' || \'","actor":"ops","config_version":"answer/3","format_version":1,"kind":"email",\''
            " || CASE WHEN stream = 'outcomes' THEN '\"outcome_of\":\"' || " + about + ' || \'","answer_id":"w-17",\''
            " WHEN stream = 'reviews' THEN '\"review_of\":\"' || " + about + ' || \'","by":"dana",\' ELSE \'\' END'
            ' || \'"settings":{"temperature":0.2,"max_tokens":200},"input_sha256":"\' || sha256(n::VARCHAR)'
            ' || \'","is_stream":false,"escalated_from":null,"attempts":[],"error":null}\''
        ),
    }
    columns = ", ".join(f'CAST({made.get(name, "NULL")} AS {type_}) AS "{name}"' for name, type_ in typed.items())
    files = []
    with duckdb.connect(config={"threads": 2, "memory_limit": "1GB", "temp_directory": str(folder)}) as engine:
        for day, stream in itertools.product(range(DAYS), STREAMS):
            path = folder / f"{stream}-{day}.parquet"
            engine.execute(f"""COPY (SELECT {columns} FROM (SELECT n, slot, {_STREAMS} AS stream,
                TIMESTAMP '2026-03-01' + INTERVAL 1 DAY * {day} + to_microseconds(n * 80000 % 86400000000) AS moment
              FROM (SELECT range AS n, range % 100 AS slot
                FROM range({day * count // DAYS}, {(day + 1) * count // DAYS})) WHERE stream = '{stream}'))
              TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 20480, COMPRESSION zstd, COMPRESSION_LEVEL 1)""")
            files.append(path)
    return files
