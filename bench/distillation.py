"""A hundred thousand runs to a corpus: samples/s of each gate and of a whole build, peak memory, twice as many; and the
published τ-bench runs.

Each build is a process of its own whose DuckDB is bounded (384 MiB) and spills; its time begins when its modules are
loaded. Gates are measured one after another over the same samples in a process of their own. One run in ten is an exact
copy of another, one in ten nearly so, and one in five holds personal data.

    python bench/distillation.py [--samples 100000] [--kinds sft preference rag] [--no-doubled]
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from _verdict import tell_ratio  # noqa: E402

MIB = 1 << 20
MIN_RATE, MAX_RSS_MIB = 1000, 1024
GATE_SAMPLES = 4000
BLOCK = 2000
VOCABULARY = [f"{a}{b}" for a in ("ship", "crew", "rost", "plan", "site", "bad", "night", "fork", "weld", "nurse")
              for b in ("er", "ing", "ed", "s", "", "day", "lift", "al", "ment", "able")]  # fmt: skip
SHARED_DATA = ROOT.parent / "shared" / "data"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--kinds", nargs="*", default=["sft", "preference", "rag"])
    parser.add_argument("--no-doubled", action="store_true")
    parser.add_argument("--child", choices=["build", "gates", "taubench"])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--evidence", type=Path)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(CHILDREN[asked.child](asked.kinds[0], asked.folder, asked.evidence)))
        return 0
    with tempfile.TemporaryDirectory(prefix="bench-distillation-") as name:
        return measure(Path(name), asked.samples, asked.kinds, is_doubled=not asked.no_doubled)


def measure(folder: Path, samples: int, kinds: list[str], *, is_doubled: bool) -> int:
    """Run everything, print the tables; the exit status says whether the limits hold."""
    evidence = write_evidence(folder / "evidence.parquet", samples)
    print(f"{samples:,} runs, {evidence.stat().st_size / MIB:.0f} MiB of evidence")
    gates = child("gates", "sft", folder, evidence)
    for gate, rate in gates.items():
        print(f"  gate {gate:16} {rate:10,.0f} samples/s")
    checks = []
    for kind in kinds:
        made = child("build", kind, folder, evidence)
        rate = made["candidates"] / made["s"]
        print(f"  {kind:10} {made['candidates']:9,} candidates  {made['s']:7.1f} s {rate:8,.0f}/s"
              f"  peak {made['rss_mib']:5.0f} MiB  kept {made['samples']:,}  {made['by_gate']}")  # fmt: skip
        checks += [
            (f"{kind}: {rate:,.0f} candidates/s (at least {MIN_RATE:,})", rate >= MIN_RATE),
            (f"{kind}: peak {made['rss_mib']:.0f} MiB (at most {MAX_RSS_MIB})", made["rss_mib"] <= MAX_RSS_MIB),
        ]
        if is_doubled and kind == kinds[0]:
            twice = child("build", kind, folder, write_evidence(folder / "doubled.parquet", 2 * samples))
            print(f"  {kind} of twice as many: {twice['s']:.1f} s, peak {twice['rss_mib']:.0f} MiB")
            tell_ratio(f"{kind}: time of twice as many", twice["s"] / made["s"], more_is_better=False)
            tell_ratio(
                f"{kind}: peak memory of twice as many", twice["rss_mib"] / made["rss_mib"], more_is_better=False
            )
            text = f"{kind} of twice as many: peak {twice['rss_mib']:.0f} MiB (at most {MAX_RSS_MIB})"
            checks.append((text, twice["rss_mib"] <= MAX_RSS_MIB))
            again = child("build", kind, folder, evidence)
            checks.append(("the same runs give the same files", again["files"] == made["files"]))
    if (SHARED_DATA / "taubench").is_dir():
        for kind in kinds:
            made = child("taubench", kind, folder, evidence)
            print(f"  τ-bench {kind:10} {made['candidates']} candidates {made['s']:5.2f} s,"
                  f" peak {made['rss_mib']:.0f} MiB, kept {made['samples']} {made['by_form']},"
                  f" replaced {made['personal']}")  # fmt: skip
    for text, is_met in checks:
        print(f"{'PASS' if is_met else 'FAIL'}  {text}")
    return 0 if all(is_met for _, is_met in checks) else 1


def child(what: str, kind: str, folder: Path, evidence: Path) -> dict[str, Any]:
    command = [
        sys.executable, __file__, "--child", what, "--kinds", kind, "--folder", str(folder),
        "--evidence", str(evidence),
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def write_evidence(path: Path, count: int) -> Path:
    """Deterministic evidence of chat calls, in Parquet, a block at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from lakehouse.tables.evidence import evidence_schema
    from tests.distilling import run

    names = evidence_schema().names
    chosen = random.Random(11)
    recent: list[str] = []
    with pq.ParquetWriter(path, evidence_schema()) as writer:
        for begin in range(0, count, BLOCK):
            rows = []
            for number in range(begin, min(begin + BLOCK, count)):
                answer = text_of(number, chosen, recent)
                asked = [
                    {"role": "system", "content": "You fill shifts. Be brief and name the people who can come."},
                    {
                        "role": "user",
                        "content": f"Task {number // 3}: who can take the shift at site {number // 3 % 977}?",
                    },
                ]
                row = run(f"{number:012x}", asked, answer, task_id=f"task-{number // 3}")
                row["reward"] = 0.0 if number % 3 == 2 else 1.0
                rows.append({name: row[name] for name in names})
            writer.write_table(pa.Table.from_pylist(rows, schema=evidence_schema()), row_group_size=20_480)
    return path


def text_of(number: int, chosen: random.Random, recent: list[str]) -> str:
    if number % 10 == 4 and recent:
        return recent[-1]
    if number % 10 == 8 and recent:
        return recent[-1] + " Thanks for asking."
    text = " ".join(chosen.choice(VOCABULARY) for _ in range(110)) + f" {number}."
    if number % 5 == 1:
        text += f" Call (415) 555-{number % 10_000:04} or write to worker{number}@example.com."
    recent[:] = [text]
    return text


def opened(folder: Path, evidence: Path) -> Any:
    import duckdb

    config: dict[str, Any] = {"memory_limit": "384MiB", "threads": 2, "temp_directory": str(folder / "spilled")}
    connection = duckdb.connect(config=config)
    connection.execute(f"CREATE VIEW evidence AS FROM read_parquet('{evidence}')")
    connection.execute(
        "CREATE VIEW scored AS SELECT run_id, CASE WHEN reward >= 1 THEN 'accepted' ELSE 'rejected' END AS score,"
        " ['reward'] AS reasons, '1' AS rules_version, DATE '2026-03-04' AS dt, stream, task_id FROM evidence"
    )
    return connection


def build(kind: Any, folder: Path, evidence: Path) -> dict[str, Any]:
    import vl_convert  # noqa: F401 - what is loaded first is not measured

    connection = opened(folder, evidence)
    return timed_build(kind, folder, connection)


def taubench(kind: Any, folder: Path, evidence: Path) -> dict[str, Any]:
    from tests.distilling import taubench_lake

    return timed_build(kind, folder, taubench_lake(folder, SHARED_DATA))


def timed_build(kind: Any, folder: Path, connection: Any) -> dict[str, Any]:
    from lakehouse.adapters.distill_build import build_corpus
    from lakehouse.distillation.parameters import corpus_parameters

    begun = time.perf_counter()
    made = build_corpus(connection, corpus_parameters(kind), folder / "builds")
    took_s = time.perf_counter() - begun
    counts = made.manifest.counts
    return {
        "s": took_s, "rss_mib": rss_mib(), "candidates": counts.candidates, "samples": counts.samples,
        "by_gate": {gate: count for gate, count in counts.by_gate.items() if count}, "by_form": dict(counts.by_form),
        "personal": dict(counts.personal), "files": [[f.name, f.sha256] for f in made.manifest.files],
    }  # fmt: skip


def gate_rates(kind: Any, folder: Path, evidence: Path) -> dict[str, Any]:
    from itertools import islice

    import orjson

    from lakehouse.adapters.distill_judge import judge
    from lakehouse.adapters.distill_signatures import SignatureFile
    from lakehouse.adapters.distill_sources import read_candidates
    from lakehouse.adapters.distill_stage import Stage
    from lakehouse.distillation.length import count_tokens
    from lakehouse.distillation.licence import grant_of
    from lakehouse.distillation.messages import read_input, read_output
    from lakehouse.distillation.parameters import corpus_parameters
    from lakehouse.distillation.sample import make_sample
    from lakehouse.distillation.scrub import scrub_sample
    from lakehouse.distillation.shape import check_conversation
    from lakehouse.distillation.twins import compared_texts, exact_key, shingles

    parameters = corpus_parameters(kind)
    candidates = list(islice(read_candidates(opened(folder, evidence), parameters), GATE_SAMPLES))
    chats = [[*read_input(c.input_text, "x"), *read_output(c.output_text, "x")] for c in candidates]
    samples = [make_sample(candidate, parameters) for candidate in candidates]
    sets = [shingles(compared_texts(chat)) for chat in chats]
    rates = {
        "shape": rate(lambda: [*map(partial(check_conversation, tools=None), chats)]),
        "licence": rate(
            lambda: [grant_of("chat_calls", orjson.loads(c.metadata or "{}"), parameters) for c in candidates]
        ),
        "personal": rate(lambda: [scrub_sample([chat], None, None) for chat in chats]),
        "length": rate(lambda: [count_tokens(chat) for chat in chats]),
        "exact key": rate(lambda: [exact_key(chat[:-1], [chat[-1:]], None) for chat in chats]),
        "shingles": rate(lambda: [shingles(compared_texts(chat)) for chat in chats]),
    }
    with SignatureFile(folder / "signatures") as file:
        rates["signatures"] = rate(lambda: file.add(sets))
    stage_folder = folder / "stage"
    stage_folder.mkdir()
    with Stage(stage_folder) as stage:
        for sample in samples:
            stage.add(sample)
        stage.flush()
        rates["copies to leakage"] = rate(lambda: judge(stage, parameters))
    return rates


def rate(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return GATE_SAMPLES / (time.perf_counter() - begun)


def rss_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


CHILDREN = {"build": build, "gates": gate_rates, "taubench": taubench}

if __name__ == "__main__":
    sys.exit(main())
