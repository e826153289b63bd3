"""What the pages Drift and Replay have to show: published answers of two versions of a model, and a small replay.

Belongs here: filling a lake with them by the platform's own commands. Not here: the rest of the lake (see pages.py).
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Mapping
from pathlib import Path

import httpx

from lakehouse.adapters.objects import S3ObjectStore
from tests.drift import day
from tests.integration.test_drift_real_data import JUNE, MARCH, put_runs
from tests.pages import SHARED, lakehouse

_MOST_RELIABLE = 3
EVALUATION = SHARED / "drift" / "PRIME_FULL_EVAL.csv"


def fill_drift(environ: Mapping[str, str], objects: S3ObjectStore) -> bool:
    """Reports on GPT-4 of March and of June (LLMDrift), the latter confirmed on two days.

    Returns:
        False: the published answers are not here, and nothing was filled.
    """
    if not EVALUATION.exists():
        return False
    with EVALUATION.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, (model, half) in enumerate([(MARCH, 0), (MARCH, 1), (JUNE, 0), (JUNE, 1)], start=1):
        chosen = [row for row in rows if row["model"] == model]
        random.Random(7).shuffle(chosen)
        put_runs(objects, number, chosen[half::2])
    lakehouse(environ, "materialize")
    lakehouse(environ, "score")
    of = ("--from", str(day(1)), "--to", str(day(1)), "--by", "dana")
    lakehouse(environ, "drift", "baseline", "outcome", *of, "--why", "answers of March")
    lakehouse(environ, "drift", "baseline", "scorer", *of, "--why", "rules as agreed")
    for number in (2, 3, 4):
        lakehouse(environ, "drift", "run", "outcome", "--day", str(day(number)), exit_codes=(0, 1))
    lakehouse(environ, "drift", "run", "scorer", "--day", str(day(4)), exit_codes=(0, 1))
    return True


def fill_replay(environ: Mapping[str, str], client: httpx.Client, folder: Path) -> None:
    """One batch by the embedded model: questions about workers whose right answers the dataset knows."""
    statement = (
        "SELECT role, city, state, list(worker_id::VARCHAR ORDER BY reliability DESC) AS ids FROM workers"
        " WHERE status = 'active' GROUP BY ALL ORDER BY len(ids) DESC, role, city LIMIT 6"
    )
    rows = client.post("/v1/sql", json={"sql": statement}).raise_for_status().json()["rows"]
    tasks = [
        {
            "task_id": f"workers-{number}",
            "question": f"Who is the most reliable {role} in {city}, {state}? Name one with the id.",
            "corpora": ["workers"],
            "expected": {"ids": ids[:_MOST_RELIABLE]},
            "max_tokens": 60,
        }
        for number, (role, city, state, ids) in enumerate(rows, start=1)
    ]
    path = folder / "tasks.jsonl"
    path.write_text("".join(json.dumps(task) + "\n" for task in tasks))
    lakehouse(environ, "replay", "run", "--tasks", str(path), "--batch", "workers-by-role", "--by", "dana")
