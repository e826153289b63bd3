"""Scores: what they reach on published runs whose reward is hidden, and how fast a million records are scored.

Runs: 200 of τ-bench (airline, gpt-4o) with their published rewards. Shown, every score must agree with the reward.
Hidden, nobody has judged them, and only signs in the runs themselves are left, by which no rule may accept. The signs
are general ones, but they were chosen with these runs at hand: that handing over to a person counts neither for nor
against a run was decided after it proved right in three of four of them. The table says what the signs are worth here,
and what accepting every run without a bad sign would give instead.

Speed: records of all streams as DuckDB reads them from Parquet (see _evidence_rows.py), each run a process of its own.

    python bench/scoring.py [--records 1000000] [--data ../shared/data]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from _evidence_rows import write_evidence  # noqa: E402
from _verdict import tell_ratio  # noqa: E402

from lakehouse.tables.scored import SCORES  # noqa: E402

MIN_RATE, MAX_RSS_MIB = 300_000, 1024
MIB = 1 << 20
KEY = "raw/agent_trajectories/dt=2026-03-01/taubench.jsonl"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(score_files(asked.child)))
        return 0
    checks = measure_speed(asked.records)
    published = asked.data / "taubench" / "gpt-4o-airline.json"
    if published.exists():
        checks += measure_reach(json.loads(published.read_bytes()))
    else:
        print(f"no published runs at {published}: what scores reach was not measured")
    for text, is_met in checks:
        print(f"{'PASS' if is_met else 'FAIL'}  {text}")
    return 0 if all(is_met for _, is_met in checks) else 1


def measure_reach(runs: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    shown, hidden = score_published(runs, is_hidden=False), score_published(runs, is_hidden=True)
    rewards = {run_id_of(run): run["reward"] for run in runs}
    agreeing = sum((row["score"] == "accepted") == (rewards[row["run_id"]] >= 1) for row in shown)
    rewarded = sum(reward >= 1 for reward in rewards.values())
    print(f"\n{len(runs)} published runs, {rewarded} with full reward ({rewarded / len(runs):.3f})")
    print(f"reward shown: {agreeing} of {len(runs)} scores agree with it")
    print("\nreward hidden       runs  share  reward 1  reward 0  share of reward 1")
    table = Counter((row["score"], rewards[row["run_id"]] >= 1) for row in hidden)
    for score in SCORES:
        good, bad = table[score, True], table[score, False]
        share = f"{good / (good + bad):.3f}" if good + bad else "-"
        print(f"  {score:18} {good + bad:4} {(good + bad) / len(runs):6.3f}  {good:8}  {bad:8}  {share}")
    by_rule = Counter((row["rule"], rewards[row["run_id"]] >= 1) for row in hidden)
    print("  by deciding rule")
    for rule in sorted({rule for rule, _ in by_rule}):
        print(f"    {rule:26} {by_rule[rule, True]:4} of {by_rule[rule, True] + by_rule[rule, False]} with reward 1")
    tell("accepted", [row["score"] == "accepted" for row in hidden], hidden, rewards)
    # What a rule that accepts whatever shows no bad sign would do; the rules refuse to be written so.
    tell("if unjudged runs without a bad sign were accepted", [row["rule"] == "heuristic.unjudged" for row in hidden],
         hidden, rewards)  # fmt: skip
    return [
        (f"reward shown: {agreeing} of {len(runs)} scores agree with it", agreeing == len(runs)),
        (f"reward hidden: {table['accepted', False]} runs without reward accepted", table["accepted", False] == 0),
    ]


def tell(name: str, is_taken: list[bool], rows: list[dict[str, Any]], rewards: dict[str, float]) -> None:
    taken = [rewards[row["run_id"]] >= 1 for row, is_one in zip(rows, is_taken, strict=True) if is_one]
    precision = f"{sum(taken) / len(taken):.3f}" if taken else "undefined (none)"
    recall = sum(taken) / sum(reward >= 1 for reward in rewards.values())
    print(f"  {name}: {len(taken)} runs, precision {precision}, recall {recall:.3f}")


def score_published(runs: list[dict[str, Any]], *, is_hidden: bool) -> list[dict[str, Any]]:
    """The scores of trajectories, by way of raw lines and evidence."""
    import duckdb
    import pyarrow.parquet as pq

    from lakehouse.adapters.evidence_engine import EvidenceEngine
    from lakehouse.adapters.evidence_lines import RawFile
    from lakehouse.adapters.scoring_engine import ScoringEngine
    from lakehouse.evidence.transforms import transform_of
    from lakehouse.scoring import default_rules

    with tempfile.TemporaryDirectory(prefix="bench-scoring-") as name, duckdb.connect() as connection:
        folder = Path(name)
        (folder / "raw.jsonl").write_bytes(b"\n".join(line_of(run, is_hidden=is_hidden) for run in runs))
        engine = EvidenceEngine(folder)
        made = engine.materialize(transform_of("agent_trajectories"), [RawFile(KEY, folder / "raw.jsonl")], folder)
        engine.close()
        connection.execute(f"CREATE VIEW evidence AS SELECT * FROM read_parquet('{made.evidence}')")
        scored = ScoringEngine(default_rules()).score(connection, None, folder)
        rows: list[dict[str, Any]] = []
        for path in scored.files.values():
            rows += pq.ParquetFile(path).read().to_pylist()
        return rows


def run_id_of(run: dict[str, Any]) -> str:
    return f"taubench/gpt-4o-airline/{run['task_id']}/{run['trial']}"


def line_of(run: dict[str, Any], *, is_hidden: bool) -> bytes:
    line = {
        "run_id": run_id_of(run), "task_id": f"taubench/airline/{run['task_id']}", "trial": run["trial"],
        "recorded_at": "2026-03-01T10:00:00Z", "reward": None if is_hidden else run["reward"], "messages": run["traj"],
        "tools": None, "model": "gpt-4o", "provider": "openai", "source": "taubench/gpt-4o-airline.json",
        "licence": "MIT",
    }  # fmt: skip
    return orjson.dumps(line)


def measure_speed(records: int) -> list[tuple[str, bool]]:
    with tempfile.TemporaryDirectory(prefix="bench-scoring-") as name:
        folder = Path(name)
        reports = []
        for count in (records, 2 * records):
            part = folder / str(count)
            part.mkdir()
            write_evidence(part, count)
            reports.append([child(part) for _ in range(3 if count == records else 1)])
    runs, [doubled] = reports
    best = min(runs, key=lambda report: report["s"])
    rates = ", ".join(f"{records / report['s']:,.0f}" for report in runs)
    print(f"{records:,} records, {best['runs']:,} of them runs, {best['testimony']:,} words about runs; 2 threads")
    print(f"  all days: {best['s']:.2f} s; records/s, run by run: {rates}; peak {best['rss_mib']:.0f} MiB")
    print(f"  one day of 10: {best['day_s']:.2f} s; which days a day's testimony touches: {best['touched_s']:.2f} s")
    print(f"  twice as many: {doubled['s']:.2f} s, peak {doubled['rss_mib']:.0f} MiB")
    print("  scores: " + ", ".join(f"{score} {best['by_score'][score] / best['runs']:.3f}" for score in SCORES))
    print("  ground: " + ", ".join(f"{kind} {n / best['runs']:.3f}" for kind, n in sorted(best["by_kind"].items())))
    tell_ratio("time of twice as many", doubled["s"] / best["s"], more_is_better=False)
    tell_ratio("peak memory of twice as many", doubled["rss_mib"] / best["rss_mib"], more_is_better=False)
    rate, peak = records / best["s"], max(report["rss_mib"] for report in [*runs, doubled])
    return [
        (f"{rate:,.0f} records/s (at least {MIN_RATE:,})", rate >= MIN_RATE),
        (f"peak memory {peak:.0f} MiB (less than {MAX_RSS_MIB})", peak < MAX_RSS_MIB),
        ("the same records give the same bytes", len({report["sha256"] for report in runs}) == 1),
        ("a day alone has the bytes that it has among all", all(report["is_same_day"] for report in [*runs, doubled])),
    ]


def child(folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, "--child", str(folder)], check=True, capture_output=True, text=True
    )
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def score_files(folder: Path) -> dict[str, Any]:
    import duckdb
    import pyarrow.parquet  # noqa: F401 - what is loaded first is not measured

    from lakehouse.adapters.scoring_engine import ScoringEngine
    from lakehouse.scoring import default_rules

    with duckdb.connect(
        config={"threads": 2, "memory_limit": "512MB", "temp_directory": str(folder / "spill")}
    ) as connection:
        connection.execute(f"CREATE VIEW evidence AS SELECT * FROM read_parquet('{folder}/*.parquet')")
        engine = ScoringEngine(default_rules())
        begun = time.perf_counter()
        scored = engine.score(connection, None, folder / "all")
        took_s = time.perf_counter() - begun
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB
        day = date(2026, 3, 5)
        begun = time.perf_counter()
        alone = engine.score(connection, [day], folder / "one")
        day_s = time.perf_counter() - begun
        begun = time.perf_counter()
        engine.days_touched(connection, [day])
        touched_s = time.perf_counter() - begun
    return {
        "s": took_s, "rss_mib": peak_mib, "day_s": day_s, "touched_s": touched_s, "runs": scored.counts.runs,
        "testimony": scored.counts.testimony, "by_score": scored.counts.by_score, "by_kind": scored.counts.by_kind,
        "is_same_day": alone.files[day].read_bytes() == scored.files[day].read_bytes(),
        "sha256": hashlib.sha256(b"".join(path.read_bytes() for path in scored.files.values())).hexdigest(),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
