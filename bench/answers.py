"""`/v1/answer` end to end on the embedded model, at 100,000 workers: the times of its parts, and what was refused.

Beside it, in the same run, the bare engine: the same prompts given to llama.cpp in this process, without HTTP,
retrieval, bundle, checks and log. Prompts have up to 600 tokens, answers up to 64.

    python bench/answers.py [--rows 100000] [--tasks 40]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from _verdict import judge, tell_ratio  # noqa: E402
from corpus import build, pid_of, wait_for_rows  # noqa: E402
from ingest import MIB, Watch  # noqa: E402

from lakehouse.adapters.llama_cpp import LlamaCpp  # noqa: E402
from lakehouse.adapters.seaweedfs import require_fsync  # noqa: E402
from lakehouse.answer.config import AnswerConfig  # noqa: E402
from lakehouse.sample.vocabulary import OCCUPATIONS, STATES  # noqa: E402
from lakehouse.sample.workers import write_workers  # noqa: E402
from tests.api import ApiProcess, api_environ  # noqa: E402
from tests.servers import store_server  # noqa: E402

MAX_P50_S = 3.0
BUDGET_TOKENS, MAX_TOKENS = 600, 64
BODY = {"budget_tokens": BUDGET_TOKENS, "max_tokens": MAX_TOKENS, "use_playbook": True}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--tasks", type=int, default=40)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-answers-") as name:
        folder = Path(name)
        write_workers(folder / "workers.csv", asked.rows)
        with store_server(folder / "store") as server:
            require_fsync(server.embedded)
            environ = api_environ(
                server.objects(), folder / "api", corpora_dir=ROOT / "corpora", log_level="warning",
                playbook_embedder="static", embedded_model_threads=None,  # the default, not the one thread of tests
            )  # fmt: skip
            api = ApiProcess(environ, folder / "api.log")
            api.start()
            try:
                replies, filled, refused_without, mib = run(api, environ, folder, asked.rows, asked.tasks)
            finally:
                api.stop()
    bare = asyncio.run(ask_bare(replies))
    return report(asked.rows, replies, filled, refused_without, bare, mib)


def tasks(count: int) -> list[str]:
    """Different ones, the same at every run."""
    titles, states = [one.title for one in OCCUPATIONS], [state for state, *_ in STATES]
    return [
        f"Which {titles[n % len(titles)].lower()} in {states[(n * 7) % len(states)]} is reliable and available?"
        for n in range(count)
    ]


def run(api: ApiProcess, environ: dict[str, str], folder: Path, rows: int, count: int) -> tuple[Any, Any, int, float]:
    """Answers, those of full prompts, how many without retrieval named anybody, MiB of the API."""
    with api.client(timeout_s=600) as client, (folder / "workers.csv").open("rb") as file:
        client.post("/v1/ingest?name=workers", files={"file": file}).raise_for_status()
        build(environ)
        wait_for_rows(api, rows)
        client.post("/v1/chat", json={"messages": [{"role": "user", "content": "x"}], "max_tokens": 1})
        replies = answered(client, tasks(count))
        # As many records as have room, and an answer that is cut at its limit.
        full = {"k": 20, "system": "Write down every person of the records with id, role, city, state and skills."}
        client.put("/v1/config/answer", json={"config": full}).raise_for_status()
        filled = answered(client, tasks(count // 2))
        client.put("/v1/config/answer", json={"version": 0}).raise_for_status()
        named = 0
        client.put("/v1/config/answer", json={"config": {"without_context": "ask"}}).raise_for_status()
        for task in tasks(10):
            without = client.post("/v1/answer", json={"task": task, "corpora": [], **BODY}).json()
            named += without["answer"] is None
    return replies, filled, named, Watch(pid_of(api)).rss_bytes() / MIB


def answered(client: httpx.Client, asked: list[str]) -> list[dict[str, Any]]:
    """The answers one after the other, each with its wall time in seconds."""
    replies = []
    for task in asked:
        begun = time.perf_counter()
        answer = client.post("/v1/answer", json={"task": task, "corpora": ["workers"], **BODY})
        answer.raise_for_status()
        replies.append({**answer.json(), "task": task, "wall_s": time.perf_counter() - begun})
    return replies


async def ask_bare(replies: list[dict[str, Any]]) -> list[float]:
    """Seconds of as many prompts of the same length, one at a time."""
    model = LlamaCpp()
    system = {"role": "system", "content": AnswerConfig().system}
    times = []
    for reply in replies:
        words = f"{reply['task']} " + "worker role city state " * (reply["usage"]["prompt_tokens"] // 5)
        user = {"role": "user", "content": words}
        ask = {"messages": [system, user], "max_tokens": max(1, reply["usage"]["completion_tokens"]), "temperature": 0}
        begun = time.perf_counter()
        await model.complete(ask)
        times.append(time.perf_counter() - begun)
    await model.close()
    return times[1:]  # the first one loads the model


def report(
    rows: int, replies: list[dict[str, Any]], filled: list[dict[str, Any]], named: int, bare: list[float], mib: float
) -> int:
    walls = sorted(reply["wall_s"] for reply in replies)
    prompts = [reply["usage"]["prompt_tokens"] for reply in replies]
    said = [reply["usage"]["completion_tokens"] for reply in replies]
    p50, p95 = statistics.median(walls), walls[int(len(walls) * 0.95)]
    times = {name: statistics.median(r["timings_ms"][name] for r in replies) for name in replies[0]["timings_ms"]}
    parts = ", ".join(f"{name} {ms:,.1f}" for name, ms in times.items())
    reasons = Counter(next(iter(r["validation"]["error"])) for r in replies if r["validation"]["error"])
    middle, shown = statistics.median, [len(reply["citations"]) for reply in replies]
    print(f"{rows:,} workers, {len(replies)} tasks one at a time, SmolLM2-135M on two cores")
    print(f"tokens in: median {middle(prompts):.0f}, most {max(prompts)}; out: median {middle(said):.0f}")
    print(f"p50 {p50:.2f} s, p95 {p95:.2f} s; parts (median ms): {parts}")
    print(f"bare llama.cpp, prompts of that length: p50 {middle(bare):.2f} s; ratio {p50 / middle(bare):.2f}x")
    print(f"records shown: median {middle(shown):.0f}; refused: {sum(reasons.values())} {dict(reasons)}")
    print(f"without retrieval, the model asked all the same: {named} of 10 named somebody and were refused")
    print(f"API with the model: {mib:,.0f} MiB")
    tokens = [(reply["usage"]["prompt_tokens"], reply["usage"]["completion_tokens"]) for reply in filled]
    full_p50 = statistics.median(reply["wall_s"] for reply in filled)
    print(
        f"full prompts: median {middle([t[0] for t in tokens]):.0f} tokens in, {middle([t[1] for t in tokens]):.0f} out"
    )
    prompts += [token[0] for token in tokens]
    verdicts = [
        judge("answer with a full prompt, p50", full_p50, MAX_P50_S, " s"),
        judge("answer, p50", p50, MAX_P50_S, " s"),
        judge("prompt tokens, most", max(prompts), BUDGET_TOKENS),
    ]
    tell_ratio("answer, p50 over bare llama.cpp's", p50 / middle(bare), more_is_better=False)
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
