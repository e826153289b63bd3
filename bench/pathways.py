"""Pathway memory: acknowledged adds over HTTP until there are 100,000 traces, and searches beside the bare engine.

    python bench/pathways.py [--traces 100000] [--characters 120]

Contents are a task, its steps and the beginning of a résumé (`lakehouse sample workers`), all distinct, by the static
embedder; the store fsyncs. `--characters 2000` takes whole résumés, three times as much of everything. The
bare engine is what a search is made of, in one process without HTTP, routes or logs: the embedding of the query, both
searches of the index, their fusion. Limits are printed beside what was measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from _peers import CLIENT, rss_mib  # noqa: E402
from _verdict import judge  # noqa: E402

from lakehouse.adapters.seaweedfs import require_fsync  # noqa: E402
from lakehouse.adapters.static_embedder import StaticEmbedder  # noqa: E402
from lakehouse.adapters.trace_index import HotTraceIndex  # noqa: E402
from lakehouse.clock import utc_now  # noqa: E402
from lakehouse.pathway.content import read_content  # noqa: E402
from lakehouse.pathway.search import TEXT_WEIGHT, PathwaySearch  # noqa: E402
from lakehouse.pathway.trace_rows import TraceRow  # noqa: E402
from lakehouse.retrieval.fusion import fuse  # noqa: E402
from lakehouse.sample.workers import worker_batches  # noqa: E402
from tests.api import TOKEN, ApiProcess, api_environ  # noqa: E402
from tests.servers import store_server  # noqa: E402

HEADERS = {"Authorization": f"Bearer {TOKEN}"}
CONCURRENCY = 50
SEARCHES = 500
_ID, _ROLE, _CITY, _RESUME = 0, 2, 3, 17


def contents(count: int, characters: int = 2000) -> list[dict[str, Any]]:
    """Traces of distinct texts."""
    made: list[dict[str, Any]] = []
    for batch in worker_batches(count):
        made += [
            {
                "task": f"fill {w[_ROLE]} in {w[_CITY]}",
                "steps": ["search", "call", "confirm"],
                "found": f"worker {w[_ID]}: {str(w[_RESUME])[:characters]}",
            }
            for w in batch
        ]
    return made[:count]


def add(api: ApiProcess, made: list[dict[str, Any]]) -> dict[str, Any]:
    requests = [{"path": "/v1/pathway/add", "body": json.dumps({"content": c, "tags": [c["task"][:40]]})} for c in made]
    spec = {
        "host": "127.0.0.1", "port": api.port, "headers": HEADERS, "requests": requests,
        "concurrency": CONCURRENCY, "total": len(requests), "is_raw": True,
    }  # fmt: skip
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(spec, file)
        file.flush()
        done = subprocess.run([sys.executable, CLIENT, file.name], capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def search_ms(api: ApiProcess, queries: list[str]) -> list[float]:
    """Single searches, one after the other, each text for the first time."""
    times = []
    connection = api.connection()
    for query in queries:
        body = json.dumps({"text": query, "k": 10})
        begun = time.perf_counter()
        connection.request("POST", "/v1/pathway/search", body, {**HEADERS, "Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        times.append((time.perf_counter() - begun) * 1000)
        assert answer.status == 200, content
    return times


def wait_until_settled(api: ApiProcess) -> None:
    """What writes leave to do in the background is over when its numbers stand still."""
    before, deadline = None, time.monotonic() + 120
    with api.client() as client:
        client.post("/v1/pathway/search", json={"text": "take in what waits"})
        while time.monotonic() < deadline:
            part = client.get("/health").json()["parts"]["pathways"]
            numbers = part["index_rows"], part["index_uncoded_rows"]
            if numbers == before:
                return
            before = numbers
            time.sleep(12)  # longer than training waits for quiet


def restart_s(api: ApiProcess, query: str) -> float:
    """Seconds from starting the process to its first answer from all traces."""
    api.stop()
    begun = time.perf_counter()
    api.start()
    with api.client() as client:
        while client.post("/v1/pathway/search", json={"text": query}).status_code != 200:
            time.sleep(0.05)
    return time.perf_counter() - begun


def bare_ms(made: list[dict[str, Any]], queries: list[str]) -> list[float]:
    """The same searches without all that is around them."""
    embedder = StaticEmbedder()
    index = HotTraceIndex(lambda: embedder.dimension)
    now = utc_now()
    for first in range(0, len(made), 1000):
        texts = [read_content(json.dumps(c).encode()).text for c in made[first : first + 1000]]
        vectors = embedder.embed(texts)
        rows = [
            TraceRow(f"{first + n:036d}", text, (), "current", now, vectors[n]) for n, text in enumerate(texts)
        ]  # fmt: skip
        index.put(rows)
    index.settle()
    wanted = PathwaySearch().filter()
    times = []
    for query in queries:
        begun = time.perf_counter()
        found = index.candidates(query, embedder.embed([query])[0], 100, wanted)
        fuse(found.similarity, found.text_score, weight=TEXT_WEIGHT).argsort()[-10:]
        times.append((time.perf_counter() - begun) * 1000)
    return times


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--traces", type=int, default=100_000)
    parser.add_argument("--characters", type=int, default=120)
    given = parser.parse_args()
    made = contents(given.traces + SEARCHES, given.characters)
    queries = [f"{c['task']}: {c['found'][:80]}" for c in made[given.traces :]]
    made = made[: given.traces]
    last = max(1, given.traces // 5)
    with tempfile.TemporaryDirectory(prefix="bench-pathways-") as name:
        folder = Path(name)
        with store_server(folder / "store") as server:
            require_fsync(server.embedded)
            environ = api_environ(server.objects(), folder / "api", pathway_embedder="static", log_level="warning")
            api = ApiProcess(environ, folder / "api.log")
            api.start()
            try:
                add(api, [{"task": "the first one opens the embedder"}])
                parts = [add(api, made[first : first + last]) for first in range(0, len(made), last)]
                wait_until_settled(api)
                ours = search_ms(api, queries)
                with api.client() as client:
                    stats = client.get("/v1/pathway/stats").json()
                assert api.process is not None
                memory = rss_mib(api.process.pid)
                restarted_s = restart_s(api, queries[0])
            finally:
                api.stop()
    bare = bare_ms(made, queries)
    size = statistics.mean(len(json.dumps(c)) for c in made)
    print(f"{given.traces:,} traces of {size:.0f} bytes, concurrency {CONCURRENCY}, static embedder, fsync on")
    print(f"{'traces':>10}{'acks/s':>9}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}")
    for n, part in enumerate(parts, 1):
        p50, p95, p99 = part["latencies_ms"]
        print(f"{n * last:10,}{part['answers'] / part['seconds']:9,.0f}{p50:9.1f}{p95:9.1f}{p99:9.1f}")
    ours_ms, engine_ms = statistics.median(ours), statistics.median(bare)
    print(
        f"search p50 {ours_ms:.2f} ms, bare engine {engine_ms:.2f} ms; API and children {memory:,.0f} MiB;"
        f" restart to first answer {restarted_s:.1f} s; {stats}"
    )
    rate = sum(p["answers"] for p in parts) / sum(p["seconds"] for p in parts)
    whole = sorted(latency for part in parts for latency in part["all_ms"])
    shown = ", ".join(f"p{share:g} {whole[int(len(whole) * share / 100)]:.1f}" for share in (50, 95, 99, 99.9))
    print(f"all adds, ms: {shown}, longest {whole[-1]:.1f}")
    refused = sum(p["answers"] - p["statuses"].get("200", 0) for p in parts)
    verdicts = [
        judge("adds acknowledged", rate, 2000, " /s", at_least=True),
        judge("adds, p99", whole[int(len(whole) * 0.99)], 50, " ms"),
        judge("adds that were not answered 200", refused, 0),
        judge("distinct texts that were not added", given.traces + 1 - stats["traces"], 0),
        judge("search, p50 over the bare engine's", ours_ms / engine_ms, 2, "x"),
    ]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
