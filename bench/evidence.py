"""A million raw lines of 1.2 KB to evidence, beside bare DuckDB on the same bytes in the same run; time and memory.

Bare DuckDB reads the same JSON with the same declared columns and writes them as Parquet with line numbers, SHA-256 of
each line and the order kept; it is asked in three ways (numbering while it streams, which one thread does; numbering a
table that all threads made; not numbering at all, for a row's place in an ordered file is its number), and the fastest
one counts. It judges no line, keeps no unknown field and hashes no text.
Every run is a process of its own; its time begins when its modules are loaded.
Then the same lines as a day in a store, as the event log ships them (parts of 8 MiB): made through the lake, as the
asset does it, index and receipt among it, and once more with nothing new.

    python bench/evidence.py [--lines 1000000] [--runs 2]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from _verdict import judge  # noqa: E402

from lakehouse.adapters.evidence_sql import declared_structure  # noqa: E402
from lakehouse.evidence.transforms import transform_of  # noqa: E402

MAX_RATIO, MAX_RSS_MIB, MAX_GROWTH, MAX_AGAIN = 2.5, 1536, 0.10, 0.05
DAY, PART = date(2026, 3, 1), 8 << 20
MIB = 1 << 20
STREAM = "chat_calls"
TEXT = "shift welder Monday crew roster fill client site reply confirm night rate badge plant note list send"
PARQUET = "FORMAT parquet, ROW_GROUP_SIZE 20480, COMPRESSION zstd, COMPRESSION_LEVEL 1"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--child", choices=list(CHILDREN))
    parser.add_argument("--files", nargs="*", type=Path, default=[])
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(CHILDREN[asked.child](asked.files, asked.folder)))
        return 0
    with tempfile.TemporaryDirectory(prefix="bench-evidence-") as name:
        return measure(Path(name), asked.lines, asked.runs)


def measure(folder: Path, lines: int, runs: int) -> int:
    """Run everything, print the table; the exit status says whether the limits hold."""
    files = [write_lines(folder / f"{half}.jsonl", lines, first=half * lines) for half in range(2)]
    size = files[0].stat().st_size
    print(f"{lines:,} lines of {STREAM}, {size / lines:.0f} bytes each")
    best: dict[str, dict[str, Any]] = {}
    peaks: dict[str, list[float]] = {kind: [] for kind in SIDE_BY_SIDE}
    for _ in range(runs):
        for kind in SIDE_BY_SIDE:
            done = child(kind, files[:1], folder)
            peaks[kind].append(done["rss_mib"])
            if kind not in best or done["s"] < best[kind]["s"]:
                best[kind] = done
            print(f"  {kind:9} {done['s']:6.2f} s {lines / done['s']:9,.0f} lines/s  peak {done['rss_mib']:5.0f} MiB")
    last = child("evidence", files[:1], folder)
    doubled = [child("evidence", files, folder) for _ in range(runs)]
    bare = min(done["s"] for kind, done in best.items() if kind != "evidence")
    ratio = best["evidence"]["s"] / bare
    # One run peaks up to 15 % over another of the same input: medians are compared, and the highest one is limited.
    single, twice = [*peaks["evidence"], last["rss_mib"]], [done["rss_mib"] for done in doubled]
    growth, highest = median(twice) / median(single) - 1, max(*single, *twice)
    print(
        f"  evidence of twice as much: {doubled[0]['s']:.2f} s, peaks {', '.join(f'{peak:.0f}' for peak in twice)} MiB"
    )
    same = best["evidence"]["sha256"] == last["sha256"]
    again = child("again", files[:1], folder)
    share = again["again_s"] / best["evidence"]["s"]
    print(f"  in a store: {again['s']:.2f} s, once more with nothing new {again['again_s']:.3f} s")
    checks = [
        ("the same input gives the same bytes", same),
        ("every line is a record",
         best["evidence"]["rows"] == lines == again["rows"] and doubled[0]["rows"] == 2 * lines),
        ("once more with nothing new is a memo hit", again["is_memo_hit"]),
    ]  # fmt: skip
    verdicts = [
        judge("time over bare DuckDB", ratio, MAX_RATIO, "x"),
        judge("peak memory", highest, MAX_RSS_MIB, " MiB"),
        judge("memory that twice the input takes beyond", growth, MAX_GROWTH),
        judge("once more with nothing new, share of that time", share, MAX_AGAIN),
    ]
    for text, is_met in checks:
        print(f"{'PASS' if is_met else 'FAIL'}  {text}")
    return 0 if all(verdicts) and all(is_met for _, is_met in checks) else 1


def child(kind: str, files: list[Path], folder: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", kind, "--folder", str(folder), "--files", *map(str, files)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def write_lines(path: Path, count: int, *, first: int) -> Path:
    """Deterministic lines of chat calls, as the API writes them."""
    chosen, words = random.Random(7), TEXT.split()
    texts = [" ".join(chosen.choice(words) for _ in range(80)) for _ in range(2000)]
    with path.open("wb") as file:
        for number in range(first, first + count):
            text = texts[number % len(texts)]
            file.write(orjson.dumps(chat_line(number, text), option=orjson.OPT_APPEND_NEWLINE))
    return path


def chat_line(number: int, text: str) -> dict[str, Any]:
    second = number // 50
    return {
        "run_id": f"0198f0c2-0000-7000-9a51-{number:012x}",
        "task_id": f"task-{number // 4}",
        "trace_id": f"tr-{number:08d}",
        "actor": "ops",
        "config_version": "answer/3",
        "format_version": 1,
        "recorded_at": f"2026-03-01T{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}Z",
        "role": "executor",
        "model": "smollm2",
        "provider": "embedded",
        "provider_model": "smollm2-135m",
        "status": "ok",
        "messages": [
            {"role": "system", "content": "You fill shifts."},
            {"role": "user", "content": f"{number}: {text[:300]}"},
        ],
        "is_clipped": False,
        "input_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "settings": {"temperature": 0.2, "max_tokens": 200},
        "content": f"Crew for order {number}: {text[60:150]}",
        "tool_calls": [],
        "finish_reason": "stop",
        "prompt_tokens": 120 + number % 50,
        "completion_tokens": 40 + number % 9,
        "are_tokens_estimated": False,
        "cost_usd": 0.0,
        "latency_ms": 120.5 + number % 100,
        "is_stream": False,
        "is_frontier": False,
        "escalated_from": None,
        "attempts": [],
        "error": None,
        "input_markers": [],
        "output_markers": [],
    }


def make_evidence(files: list[Path], folder: Path) -> dict[str, Any]:
    import duckdb  # noqa: F401 - what is loaded first is not measured
    import pyarrow.parquet as pq

    from lakehouse.adapters.evidence_engine import EvidenceEngine
    from lakehouse.adapters.evidence_lines import RawFile

    target = folder / "evidence"
    target.mkdir(exist_ok=True)
    raw = [RawFile(f"raw/{STREAM}/dt=2026-03-01/{path.name}", path) for path in files]
    begun = time.perf_counter()
    engine = EvidenceEngine(folder)
    made = engine.materialize(transform_of(STREAM), raw, target)
    engine.close()
    took_s = time.perf_counter() - begun
    peak_mib = rss_mib()
    with made.evidence.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"s": took_s, "rss_mib": peak_mib, "sha256": sha256, "rows": pq.read_metadata(made.evidence).num_rows}


def again_in_store(files: list[Path], folder: Path) -> dict[str, Any]:
    """A day through the lake, and once more; each time with a lake of its own, as a Dagster run has."""
    from lakehouse.adapters.evidence_lake import CURRENT
    from lakehouse.adapters.evidence_materializer import RunFacts
    from lakehouse.clock import utc_now
    from lakehouse.receipts.receipt import write_receipt
    from lakehouse_assets.evidence import memo_receipt
    from tests.dagster_lake import lake_store
    from tests.servers import store_server

    with store_server(folder / "store") as server:
        objects = server.objects()
        with files[0].open("rb") as file:
            for number, lines in enumerate(iter(lambda: file.readlines(PART), [])):
                objects.put(f"raw/{STREAM}/dt={DAY}/part-{number:05}.jsonl", b"".join(lines))
        seconds, days = [], []
        for run_id in ("first", "again"):
            lake = lake_store(objects, folder / "data").lake
            begun, started_at, run = time.perf_counter(), utc_now(), RunFacts(run_id, "bench")
            done = list(lake.evidence.materialize(STREAM, [DAY], run))
            if (hits := memo_receipt(STREAM, done, run, transform_of(STREAM), started_at=started_at)) is not None:
                write_receipt(lake.objects, hits)
            lake.evidence_index.refresh()
            seconds.append(time.perf_counter() - begun)
            days += done
        rows = lake.evidence_index.read().partitions[CURRENT].counts["serves"]
    return {
        "s": seconds[0], "again_s": seconds[1], "rss_mib": rss_mib(), "rows": rows,
        "is_memo_hit": days[0].is_new and not days[1].is_new,
    }  # fmt: skip


def bare_numbered(files: list[Path], folder: Path) -> dict[str, Any]:
    return bare(
        f"COPY (SELECT row_number() OVER () AS line, sha256, unnest(parsed) FROM ({read(files)}))"
        f" TO '{folder}/bare.parquet' ({PARQUET})"
    )


def bare_table(files: list[Path], folder: Path) -> dict[str, Any]:
    return bare(
        f"CREATE TEMP TABLE t AS SELECT sha256, unnest(parsed) FROM ({read(files)})",
        f"COPY (SELECT rowid + 1 AS line, * FROM t) TO '{folder}/bare.parquet' ({PARQUET})",
    )


def bare_ordered(files: list[Path], folder: Path) -> dict[str, Any]:
    return bare(f"COPY (SELECT sha256, unnest(parsed) FROM ({read(files)})) TO '{folder}/bare.parquet' ({PARQUET})")


def read(files: list[Path]) -> str:
    structure = declared_structure(transform_of(STREAM))
    names = ", ".join(f"'{path}'" for path in files)
    return (
        f"SELECT sha256(json::VARCHAR) AS sha256, from_json(json, {structure}) AS parsed"
        f" FROM read_ndjson_objects([{names}])"
    )


def bare(*statements: str) -> dict[str, Any]:
    import duckdb

    begun = time.perf_counter()
    with duckdb.connect(config={"threads": 2}) as engine:
        for statement in statements:
            engine.execute(statement)
    return {"s": time.perf_counter() - begun, "rss_mib": rss_mib()}


def rss_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


SIDE_BY_SIDE = {"evidence": make_evidence, "numbered": bare_numbered, "table": bare_table, "ordered": bare_ordered}
CHILDREN = {**SIDE_BY_SIDE, "again": again_in_store}

if __name__ == "__main__":
    sys.exit(main())
