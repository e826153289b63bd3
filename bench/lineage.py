"""Lineage over HTTP, warm: a million records, a build of 100,000 samples; p50 and p95 of each kind of question.

The lake is made by the platform itself: raw lines, evidence, the index, scores, the build. Every answer is checked: its
line is verified against the bytes, and a run that is in the build names its sample.

    python bench/lineage.py [--records 1000000] [--samples 100000] [--questions 300]
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lakehouse.adapters.audit import Auditor
from lakehouse.adapters.corpus_exports import CorpusExports
from lakehouse.adapters.evidence_index import EvidenceIndex
from lakehouse.adapters.evidence_materializer import EvidenceMaterializer, RunFacts
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.scored_days import ScoredDays
from lakehouse.distillation.parameters import read_parameters
from tests.api import ApiProcess, api_process
from tests.servers import store_server

LIMIT_MS = 200.0
DAYS, PARTS = 10, 4
FIRST = date(2026, 3, 1)
RUN = RunFacts("bench")
WARM = 100


def run_id(number: int) -> str:
    return f"bench/{number * 7919 % 10_000_019:08d}/{number}"


def line(number: int, day: date, *, is_accepted: bool) -> bytes:
    words = random.Random(number)
    said = " ".join(f"{words.getrandbits(40):010x}" for _ in range(40))
    document = {
        "run_id": run_id(number),
        "task_id": f"task-{number}",
        "recorded_at": f"{day}T10:00:00.000000Z",
        "messages": [
            {"role": "user", "content": f"Who can take order {number}, and when? {said[:220]}"},
            {"role": "assistant", "content": f"Crew {number} is free: {said[220:]}"},
        ],
        "reward": 1.0 if is_accepted else 0.0,
        "model": "m",
        "source": "bench",
        "licence": "MIT",
    }
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)


def place_of(number: int, records: int) -> tuple[str, int]:
    """Where a record's line is."""
    a_day = records // DAYS
    a_part = a_day // PARTS
    day, rest = divmod(number, a_day)
    part = min(rest // a_part, PARTS - 1)
    key = f"raw/agent_trajectories/dt={FIRST + timedelta(days=day)}/{part}.jsonl"
    return key, rest - part * a_part + 1


def make_lake(store: S3ObjectStore, folder: Path, records: int, samples: int) -> None:
    every = records // samples
    begun = time.perf_counter()
    bodies: dict[str, list[bytes]] = {}
    for number in range(records):
        key, _ = place_of(number, records)
        day = date.fromisoformat(key.split("dt=")[1][:10])
        if key not in bodies:
            for before, body in bodies.items():
                store.put(before, b"".join(body))
            bodies = {key: []}
        bodies[key].append(line(number, day, is_accepted=number % every == 0))
    for before, body in bodies.items():
        store.put(before, b"".join(body))
    begun = told("raw lines", begun)
    days = [FIRST + timedelta(days=n) for n in range(DAYS)]
    list(EvidenceMaterializer(store, work_dir=folder).materialize("agent_trajectories", days, RUN))
    begun = told("evidence", begun)
    manifest, _ = EvidenceIndex(store, store.location, work_dir=folder).refresh()
    assert manifest.partitions["current"].counts["serves"] == records
    begun = told("index", begun)
    scored = ScoredDays(store, store.location, work_dir=folder)
    for day in days:  # as its asset does, so that it stays within its memory
        scored.score(RUN, [day])
    begun = told("scores", begun)
    done = CorpusExports(store, store.location, work_dir=folder).export(read_parameters({"kind": "sft"}), RUN)
    told(f"build of {done.manifest.counts.samples:,} samples", begun)
    assert done.manifest.counts.samples > 0.99 * samples, done.manifest.counts


def told(what: str, begun_s: float) -> float:
    now_s = time.perf_counter()
    print(f"  {what:<32}{now_s - begun_s:8.1f} s", flush=True)
    return now_s


def ask(client: httpx.Client, of: str) -> tuple[float, dict[str, Any]]:
    begun = time.perf_counter()
    answer = client.get(f"/v1/lineage/{quote(of, safe='')}")
    took_ms = (time.perf_counter() - begun) * 1000
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    assert found["is_sound"], found
    assert all(one["check"] == "verified" for run in found["runs"] for one in run["lines"]), found
    return took_ms, found


def measure(api: ApiProcess, records: int, samples: int, questions: int) -> bool:
    every, chosen = records // samples, random.Random(17)
    accepted = [number * every for number in chosen.sample(range(samples), questions + WARM)]
    anybody = chosen.sample(range(records), questions + WARM)
    with api.client(timeout_s=120) as client:
        first_ms, _ = ask(client, run_id(accepted[0]))
        print(f"the very first question, which reads the build's provenance: {first_ms:,.0f} ms")
        in_build = [ask(client, run_id(number)) for number in accepted]
        ids = [found["runs"][0]["samples"][0]["sample_id"] for _, found in in_build if found["runs"][0]["samples"]]
        kinds: dict[str, tuple[Callable[[int], str], int]] = {
            "run of the build": (lambda n: run_id(accepted[n]), len(accepted)),
            "any run": (lambda n: run_id(anybody[n]), len(anybody)),
            "sample": (lambda n: ids[n], len(ids)),
            "raw line": (lambda n: "{}:{}".format(*place_of(anybody[n], records)), len(anybody)),
        }
        checks = []
        print(f"{'question':<18}{'p50':>9}{'p95':>9}{'max':>9}  ms, of {questions} after {WARM} that do not count")
        for name, (of, there) in kinds.items():
            for n in range(WARM):
                ask(client, of(n))
            times = [ask(client, of(n))[0] for n in range(WARM, min(there, questions + WARM))]
            p95_ms = statistics.quantiles(times, n=20)[18]
            print(f"{name:<18}{statistics.median(times):9.1f}{p95_ms:9.1f}{max(times):9.1f}")
            checks.append((f"{name}: p95 {p95_ms:.0f} ms (at most {LIMIT_MS:.0f})", p95_ms <= LIMIT_MS))
    for text, is_met in checks:
        print(f"{'PASS' if is_met else 'FAIL'}  {text}")
    return all(is_met for _, is_met in checks)


def audit(store: S3ObjectStore, folder: Path) -> None:
    """How long an audit takes; a lake that was just made must be sound."""
    auditor = Auditor(store, store.location, work_dir=folder / "audit")
    for is_full in (False, True):
        begun_s = time.perf_counter()
        report = auditor.audit(is_full=is_full)
        assert report.is_sound, report.to_markdown()
        took_s = time.perf_counter() - begun_s
        name = "audit --full" if is_full else "audit"
        print(f"{name}: {took_s:.1f} s, {report.looked_at['lines']:,} lines held against their bytes")


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--records", type=int, default=1_000_000)
    arguments.add_argument("--samples", type=int, default=100_000)
    arguments.add_argument("--questions", type=int, default=300)
    given = arguments.parse_args()
    print(f"{given.records:,} records in {DAYS * PARTS} raw objects, {given.samples:,} of them in a build")
    with tempfile.TemporaryDirectory(prefix="bench-lineage-") as name, store_server(Path(name) / "store") as server:
        folder = Path(name)
        store = server.objects(bucket="bench-lineage")
        make_lake(store, folder / "work", given.records, given.samples)
        with api_process(
            store, folder / "api", is_forked=False, log_level="warning", default_embedder="static",
            playbook_embedder="static",
        ) as api:  # fmt: skip
            assert api.process is not None
            process = psutil.Process(api.process.pid)
            before = process.memory_info().rss >> 20
            is_met = measure(api, given.records, given.samples, given.questions)
            audit(store, folder)
            print(f"the API holds {process.memory_info().rss >> 20} MiB, {before} MiB before the first question")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
