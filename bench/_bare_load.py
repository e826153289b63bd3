"""The load mix against the bare engines (see _bare_app.py), by the same generator and with the same checks.

    python bench/_bare_load.py WORKERS.csv PORT SECONDS [RATE]

Run by load.py as a process of its own. It prints {scenarios, scenarios_per_s, generator_s (of processor), failures,
reasons, cold: {p50_ms, p99_ms}}.
"""

from __future__ import annotations

import json
import secrets
import sys
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lakehouse.adapters.kept_http import Target  # noqa: E402
from lakehouse.adapters.load_driver import Pace, play  # noqa: E402
from lakehouse.load.crew import Worker, make_crew  # noqa: E402
from lakehouse.load.mix import RequestKind  # noqa: E402
from lakehouse.load.plan import make_stage, plan_scenarios, plan_starts  # noqa: E402
from lakehouse_cli.load_check import CREW  # noqa: E402

CONCURRENCY, SEED = 50, 7


def main() -> None:
    workers, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    rate = float(sys.argv[4]) if len(sys.argv) > 4 else None
    with duckdb.connect() as database:
        database.read_csv(workers).create("workers")
        rows = database.execute(CREW).fetchall()
    crew = make_crew(Worker(str(row[0]), *row[1:]) for row in rows)
    stage = make_stage(crew, corpus="workers", seed=SEED, mark=secrets.token_hex(4))
    starts = None if rate is None else plan_starts(rate, seed=SEED, duration_s=seconds)
    target = Target(f"http://127.0.0.1:{port}", {"Content-Type": "application/json"})
    played = play(plan_scenarios(stage, seed=SEED), target, Pace(CONCURRENCY, seconds, starts))
    tally = played.tally
    cold = tally.requests[RequestKind.SEARCH_COLD].to_document()
    print(
        json.dumps(
            {
                "scenarios": tally.scenario_count,
                "generator_s": played.cpu_share * played.seconds,
                "scenarios_per_s": tally.scenario_count / played.seconds,
                "failures": tally.failures,
                "reasons": [reason for _, _, line in tally.lines() for reason in line.to_document()["reasons"]],
                "cold": {name: cold[name] for name in ("p50_ms", "p99_ms")},
            }
        )
    )


if __name__ == "__main__":
    main()
