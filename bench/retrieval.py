"""Retrieval over HTTP against Chroma's server and pgvector, all loaded and asked in one run; playbook writes; restart.

    python bench/retrieval.py [--rows 100000] [--no-peers]

Vectors are those of résumés (`lakehouse sample workers`) by the static embedder, 256 dimensions turned into 384 by a
fixed rotation, which leaves every distance as it is: real text, without the hour that MiniLM would take on two cores.
Queries are other résumés. Exact answers come from a full comparison. Limits are printed beside what was measured.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from _peers import K, Measured, Workload, http_load, measure_chroma, measure_pgvector, qps, recall, rss_mib  # noqa: E402
from _verdict import judge  # noqa: E402

from lakehouse.adapters.seaweedfs import require_fsync  # noqa: E402
from lakehouse.adapters.static_embedder import StaticEmbedder  # noqa: E402
from lakehouse.sample.workers import worker_batches  # noqa: E402
from tests.api import TOKEN, ApiProcess, api_environ  # noqa: E402
from tests.servers import store_server  # noqa: E402

DIMENSION = 384
QUERIES = 500
BATCH = 10_000
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
_ID, _NAME, _ROLE, _CITY, _STATE, _RESUME = 0, 1, 2, 3, 4, 17


def make_workload(rows: int) -> Workload:
    """Vectors of résumés, two metadata fields of which one combination has about 1 % of the rows, exact answers."""
    embedder = StaticEmbedder()
    vectors, rng = [], np.random.default_rng(7)
    for batch in worker_batches(rows + QUERIES):
        vectors.append(embedder.embed([str(worker[_RESUME]) for worker in batch]))
    flat = np.concatenate(vectors)
    rotation = np.linalg.qr(rng.standard_normal((DIMENSION, DIMENSION)))[0][: flat.shape[1]]
    turned = np.ascontiguousarray(flat @ rotation, dtype=np.float32)
    x, queries = turned[:rows], turned[rows:]
    states = ["OH" if s == 0 else f"S{s}" for s in rng.integers(0, 10, rows)]
    roles = ["Electrician" if r == 0 else f"R{r}" for r in rng.integers(0, 10, rows)]
    chosen = np.flatnonzero([s == "OH" and r == "Electrician" for s, r in zip(states, roles, strict=True)])
    return Workload(
        x, states, roles, queries, exact_answers(x, queries, np.arange(rows)), exact_answers(x, queries, chosen)
    )


def exact_answers(x: NDArray[np.float32], queries: NDArray[np.float32], rows: NDArray[Any]) -> list[list[str]]:
    scores = queries @ x[rows].T
    return [[str(rows[n]) for n in np.argsort(-line, kind="stable")[:K]] for line in scores]


def load_ours(api: ApiProcess, work: Workload) -> float:
    """Seconds to make the index and add everything as Arrow, until the last batch is acknowledged."""
    with api.client(timeout_s=300) as client:
        made = client.post("/v1/vectors/index", json={"name": "bench", "dimension": DIMENSION, "embedder": "static"})
        made.raise_for_status()
        begun = time.perf_counter()
        for start in range(0, len(work.vectors), BATCH):
            part = slice(start, start + BATCH)
            metadata = [
                json.dumps({"state": s, "role": r}) for s, r in zip(work.states[part], work.roles[part], strict=True)
            ]
            flat = pa.array(work.vectors[part].reshape(-1))
            table = pa.table(
                {
                    "id": work.ids[part],
                    "vector": pa.FixedSizeListArray.from_arrays(flat, DIMENSION),
                    "metadata": metadata,
                }
            )
            add_arrow(client, "bench", table)
        return time.perf_counter() - begun


def add_arrow(client: httpx.Client, index: str, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    client.post(
        f"/v1/vectors/index/{index}/add",
        content=sink.getvalue().to_pybytes(),
        headers={"Content-Type": "application/vnd.apache.arrow.stream"},
    ).raise_for_status()


def measure_ours(api: ApiProcess, work: Workload, *, load_s: float) -> Measured:
    wait_until_indexed(api, "bench")

    def ask(extra: dict[str, Any], total: int) -> tuple[dict[str, Any], list[list[str]]]:
        bodies = [json.dumps({"vector": q.tolist(), "k": K, **extra}) for q in work.queries]
        requests = [{"path": "/v1/vectors/index/bench/search", "body": body} for body in bodies]
        load = http_load(api.port, requests, headers=HEADERS, work=work, total=total)
        return load, [[r["id"] for r in json.loads(b)["results"]] for b in load["bodies"] if b]

    plain, found = ask({}, work.total * 2)
    filtered, found_filtered = ask({"filter": {"state": "OH", "role": "Electrician"}}, work.total * 2)
    assert api.process is not None
    return Measured(
        "Lakehouse", qps(plain), plain["latencies_ms"][0], plain["latencies_ms"][2], recall(found, work.exact),
        qps(filtered), recall(found_filtered, work.exact_filtered), load_s, rss_mib(api.process.pid),
        f"lakehouse {version('lakehouse')}, faiss {version('faiss-cpu')}",
    )  # fmt: skip


def wait_until_indexed(api: ApiProcess, index: str) -> None:
    """The codes of a large index are made in the background; searches are exact meanwhile."""
    with api.client() as client:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            state = client.get(f"/v1/vectors/index/{index}").json()["state"]
            if state.get("kind") != "exact" and state.get("uncoded_rows", 0) < BATCH:
                return
            time.sleep(0.2)


def cached_search_ms(api: ApiProcess, rows: int, mode: str) -> list[float]:
    """Single searches of as many résumés, one after the other, by texts whose embedding is in memory and whose answer
    is not: each was asked before for one result more.
    """
    connection = api.connection()

    def ask(query: str, k: int) -> dict[str, Any]:
        body = json.dumps({"query": query, "corpora": ["bench_text"], "k": k, "mode": mode})
        connection.request("POST", "/v1/matrix/search", body, {**HEADERS, "Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return dict(json.loads(content)["timings_ms"])

    times = []
    for query in questions(rows):
        ask(query, K + 1)
        begun = time.perf_counter()
        timings = ask(query, K)
        times.append((time.perf_counter() - begun) * 1000)
        assert timings["embed_cached"], timings
        assert not timings["answer_cached"], timings
    return times


def load_texts(api: ApiProcess, rows: int) -> None:
    """The résumés as texts, embedded by the index itself."""
    with api.client(timeout_s=300) as client:
        made = client.post("/v1/vectors/index", json={"name": "bench_text", "embedder": "static"})
        made.raise_for_status()
        for batch in worker_batches(rows):
            table = pa.table({"id": [str(w[_ID]) for w in batch], "text": [str(w[_RESUME]) for w in batch]})
            add_arrow(client, "bench_text", table)
    wait_until_indexed(api, "bench_text")


def questions(rows: int) -> list[str]:
    """What somebody might ask for, each of another worker who is not in the index."""
    others = [worker for batch in worker_batches(rows + QUERIES) for worker in batch][rows:]
    return [f"{w[_ROLE]} in {w[_CITY]}, {w[_STATE]}, like {w[_NAME]}, number {w[_ID]}" for w in others]


def playbook_writes(api: ApiProcess, work: Workload, total: int = 10_000) -> dict[str, Any]:
    """Distinct records, each acknowledged when it is in the store and visible."""
    requests = [
        {
            "path": "/v1/matrix/playbooks/record",
            "body": json.dumps(
                {"query": f"worker number {n} for shift {n * 7919}", "answer_id": str(n), "answer_corpus": "bench"}
            ),
        }
        for n in range(total)
    ]
    one = Workload(**{**work.__dict__, "rounds": 1})
    return http_load(api.port, requests, headers=HEADERS, work=one, total=total)


def restart_s(api: ApiProcess, work: Workload) -> float:
    """Seconds from starting the process to its first answer from the index."""
    api.stop(how=signal.SIGTERM)
    body = {"vector": work.queries[0].tolist(), "k": K}
    begun = time.perf_counter()
    api.start()
    with api.client() as client:
        client.post("/v1/vectors/index/bench/search", json=body).raise_for_status()
    return time.perf_counter() - begun


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--no-peers", action="store_true")
    given = parser.parse_args()
    work = make_workload(given.rows)
    with tempfile.TemporaryDirectory(prefix="bench-retrieval-") as name:
        folder = Path(name)
        with serving(folder) as api:
            ours = measure_ours(api, work, load_s=load_ours(api, work))
            writes = playbook_writes(api, work)
            first_answer_s = restart_s(api, work)
            load_texts(api, given.rows)
            single_ms = {mode: cached_search_ms(api, given.rows, mode) for mode in ("vector", "hybrid")}
        peers = [] if given.no_peers else [measure_chroma(work, folder), measure_pgvector(work, folder)]
    return report(given.rows, ours, peers, single_ms=single_ms, writes=writes, first_answer_s=first_answer_s)


@contextmanager
def serving(folder: Path) -> Iterator[ApiProcess]:
    """A store with fsync and an API on it, with static embeddings."""
    with store_server(folder / "store") as server:
        require_fsync(server.embedded)
        environ = api_environ(
            server.objects(), folder / "api", default_embedder="static", playbook_embedder="static",
            log_level="warning", holdout_share=0,
        )  # fmt: skip
        api = ApiProcess(environ, folder / "api.log")
        api.start()
        try:
            yield api
        finally:
            api.stop()


def table(rows: int, measured: list[Measured]) -> None:
    print(f"{rows:,} x {DIMENSION} résumé vectors, concurrency 50, k {K}, medians of 3 rounds")
    print(f"{'':<18}{'QPS':>8}{'p50 ms':>8}{'p99 ms':>8}{'recall':>8}{'1% QPS':>8}{'recall':>8}{'load s':>8}{'MiB':>7}")
    for m in measured:
        print(
            f"{m.name:<18}{m.qps:8,.0f}{m.p50_ms:8.1f}{m.p99_ms:8.1f}{m.recall:8.3f}{m.filtered_qps:8,.0f}"
            f"{m.filtered_recall:8.3f}{m.load_s:8.1f}{m.rss_mib:7,.0f}  {m.notes}"
        )


def report(
    rows: int,
    ours: Measured,
    peers: list[Measured],
    *,
    single_ms: dict[str, list[float]],
    writes: dict[str, Any],
    first_answer_s: float,
) -> int:
    table(rows, [ours, *peers])
    both_ms = statistics.median(single_ms["hybrid"])
    print(f"one search by meaning and words, its embedding cached, p50: {both_ms:.3g} ms")
    acks = writes["answers"] / writes["seconds"]
    verdicts = [
        judge("recall@10", ours.recall, 0.98, at_least=True),
        judge("recall@10 under a 1 % filter", ours.filtered_recall, 0.9999, at_least=True),
        judge("QPS under a 1 % filter", ours.filtered_qps, 3000, at_least=True),
        judge("one search by meaning, its embedding cached, p50", statistics.median(single_ms["vector"]), 2.0, " ms"),
        judge("playbook records acknowledged", acks, 2000, " /s", at_least=True),
        judge("playbook records, p99", writes["latencies_ms"][2], 50, " ms"),
        judge("resident memory of the API and its children", ours.rss_mib, 1024, " MiB"),
        judge("restart to first answer", first_answer_s, 5, " s"),
    ]
    by_name = {m.name: m for m in peers}
    if chroma := by_name.get("Chroma server"):
        verdicts += [
            judge("QPS over Chroma's", ours.qps / chroma.qps, 5, "x", at_least=True),
            judge("filtered QPS over Chroma's", ours.filtered_qps / chroma.filtered_qps, 10, "x", at_least=True),
            judge("loading, times faster than Chroma", chroma.load_s / ours.load_s, 10, "x", at_least=True),
        ]
    if postgres := by_name.get("pgvector"):
        verdicts += [
            judge("QPS over pgvector's", ours.qps / postgres.qps, 1, "x", at_least=True),
            judge("filtered QPS over pgvector's", ours.filtered_qps / postgres.filtered_qps, 10, "x", at_least=True),
        ]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
