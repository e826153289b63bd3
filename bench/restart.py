"""A restart with many vectors: how long until it answers, and whether it answers the same.

    python bench/restart.py [--rows 200000] [--dimension 768]

The API is stopped and started twice over one bucket: first with the snapshots in its data folder, then without them, as
on a new machine. Vectors lie in clusters, as embeddings do; queries are others of the same clusters.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from _peers import rss_mib  # noqa: E402
from _verdict import judge  # noqa: E402

from lakehouse.adapters.seaweedfs import require_fsync  # noqa: E402
from tests.api import ApiProcess, api_environ  # noqa: E402
from tests.servers import store_server  # noqa: E402

INDEX = "/v1/vectors/index/bench"
ARROW = {"Content-Type": "application/vnd.apache.arrow.stream"}
QUERIES, K, BATCH = 100, 10, 10_000
CLUSTERS, SPREAD, SEED = 500, 0.5, 7
WAIT_S = 600
# The share of the ten nearest that is the same when codes were trained anew.
SAME_WITHOUT_SNAPSHOT = 0.98
Answers = list[list[tuple[str, float]]]


def batches(rows: int, dimension: int) -> Iterator[NDArray[np.float32]]:
    """The vectors, a batch at a time: the same for the same numbers."""
    centres = np.random.default_rng(SEED).standard_normal((CLUSTERS, dimension), np.float32)
    for start in range(0, rows, BATCH):
        draw = np.random.default_rng([SEED, start])
        count = min(BATCH, rows - start)
        noise = draw.standard_normal((count, dimension), np.float32) * np.float32(SPREAD)
        yield centres[draw.integers(0, CLUSTERS, count)] + noise


def load(api: ApiProcess, rows: int, dimension: int) -> float:
    """Seconds until the last batch is acknowledged."""
    with api.client(timeout_s=WAIT_S) as client:
        shape = {"name": "bench", "dimension": dimension, "embedder": "static"}
        client.post("/v1/vectors/index", json=shape).raise_for_status()
        seconds, first = 0.0, 0
        for vectors in batches(rows, dimension):
            ids = [f"v{n}" for n in range(first, first + len(vectors))]
            flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), dimension)
            metadata = [json.dumps({"tenth": n % 10}) for n in range(first, first + len(vectors))]
            table = pa.table({"id": ids, "vector": flat, "metadata": metadata})
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
            begun = time.perf_counter()
            added = client.post(f"{INDEX}/add", content=sink.getvalue().to_pybytes(), headers=ARROW)
            added.raise_for_status()
            seconds += time.perf_counter() - begun
            first += len(vectors)
    return seconds


def wait_for(what: str, is_there: Any) -> bool:
    """True when something came to be in time."""
    deadline = time.monotonic() + WAIT_S
    while not is_there():
        if time.monotonic() > deadline:
            print(f"      {what}: not within {WAIT_S} s")
            return False
        time.sleep(0.2)
    return True


def is_settled(api: ApiProcess) -> bool:
    """Whether every row is in the codes; small indexes have none."""
    with api.client() as client:
        state = client.get(INDEX).json()["state"]
    return bool(state["rows"] < BATCH or (state["kind"] != "exact" and state.get("uncoded_rows", 0) < BATCH))


def answers(api: ApiProcess, queries: NDArray[np.float32]) -> Answers:
    """What each query finds, plain and under a filter in turns."""
    found = []
    with api.client(timeout_s=WAIT_S) as client:
        for number, query in enumerate(queries):
            body: dict[str, Any] = {"vector": query.tolist(), "k": K}
            if number % 2:
                body["filter"] = {"tenth": number % 10}
            answer = client.post(f"{INDEX}/search", json=body)
            answer.raise_for_status()
            found.append([(r["id"], r["distance"]) for r in answer.json()["results"]])
    return found


def restart(api: ApiProcess, queries: NDArray[np.float32], *, snapshots: Path | None) -> float:
    """Seconds from starting the process to its first answer; with `snapshots` these are thrown away before."""
    api.stop()
    if snapshots is not None:
        shutil.rmtree(snapshots)
    begun = time.perf_counter()
    api.start()
    answers(api, queries[:1])
    return time.perf_counter() - begun


def same_share(before: Answers, after: Answers) -> float:
    """The share of the results of all queries that are the same, distances within rounding."""
    same = total = 0
    for old, new in zip(before, after, strict=True):
        known = dict(new)
        total += max(len(old), len(new))
        same += sum(i in known and abs(known[i] - d) < 1e-5 for i, d in old)
    return same / max(1, total)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=768)
    given = parser.parse_args()
    queries = next(batches(BATCH + QUERIES, given.dimension))[:QUERIES] + np.float32(0.1)
    with tempfile.TemporaryDirectory(prefix="bench-restart-") as name:
        folder = Path(name)
        with store_server(folder / "store") as server:
            require_fsync(server.embedded)
            environ = api_environ(
                server.objects(), folder / "api", default_embedder="static", playbook_embedder="static",
                log_level="warning", holdout_share=0,
            )  # fmt: skip
            api = ApiProcess(environ, folder / "api.log")
            api.start()
            try:
                return measure(api, given.rows, given.dimension, queries, folder / "api" / "indexes")
            finally:
                api.stop()


def measure(api: ApiProcess, rows: int, dimension: int, queries: NDArray[np.float32], snapshots: Path) -> int:
    load_s = load(api, rows, dimension)
    assert api.process is not None
    wait_for("codes", lambda: is_settled(api))
    loaded_mib = rss_mib(api.process.pid)
    before = answers(api, queries)
    wait_for("snapshot", (snapshots / "bench" / "manifest.json").is_file)
    by_snapshot_s = restart(api, queries, snapshots=None)
    with_snapshot = answers(api, queries)
    restarted_mib = rss_mib(api.process.pid)
    anew_s = restart(api, queries, snapshots=snapshots)
    wait_for("codes", lambda: is_settled(api))
    anew = answers(api, queries)
    anew_mib = rss_mib(api.process.pid)
    print(f"{rows:,} x {dimension} vectors, {QUERIES} queries, every other one under a 10 % filter")
    print(f"loaded in {load_s:.1f} s ({rows / load_s:,.0f} rows/s); API and children {loaded_mib:,.0f} MiB")
    print(f"restart to first answer, with snapshots: {by_snapshot_s:.1f} s; {restarted_mib:,.0f} MiB")
    print(f"restart to first answer, without: {anew_s:.1f} s; {anew_mib:,.0f} MiB")
    verdicts = [
        judge("results found, k for each query", sum(map(len, anew)) / (K * QUERIES), 1.0, at_least=True),
        judge("results as before, with snapshots", same_share(before, with_snapshot), 1.0, at_least=True),
        judge("results as before, without", same_share(before, anew), SAME_WITHOUT_SNAPSHOT, at_least=True),
        judge("of them under the filter", same_share(before[1::2], anew[1::2]), SAME_WITHOUT_SNAPSHOT, at_least=True),
    ]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
