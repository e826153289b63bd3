"""The limits of a vector search without a server: LanceDB and hnswlib in process, each in a process of its own.

Run by `peers.py` as `python bench/_limits.py NAME WORKLOAD.npz FOLDER`; prints one JSON object. LanceDB has the index
that its documentation recommends for recall at this size (HNSW with scalar codes, as many probes as partitions) and 50
questions in flight; hnswlib has M 16, ef 64 and two threads, each with one question at a time.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from _peers import Ids, K, Measured, Workload, recall

THREADS, PARTITIONS, EF = 2, 1, 64
FILTER = "state = 'OH' AND role = 'Electrician'"


def measure_limit(name: str, work: Workload, folder: Path) -> Measured:
    """One of `LIMITS` in a child process, on the same vectors and questions."""
    file = folder / "workload.npz"
    if not file.exists():
        np.savez(file, vectors=work.vectors, queries=work.queries, states=work.states, roles=work.roles)
    command = [sys.executable, __file__, name, str(file), str(folder)]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    found, filtered = said.pop("found"), said.pop("found_filtered")
    return Measured(
        recall=recall(found, work.exact), filtered_recall=recall(filtered, work.exact_filtered), **said
    )  # fmt: skip


def lancedb_in_process(data: Any, folder: Path) -> dict[str, Any]:
    return asyncio.run(_lancedb(data, folder))


async def _lancedb(data: Any, folder: Path) -> dict[str, Any]:
    import lancedb
    import pyarrow as pa
    from lancedb.index import Bitmap, HnswSq

    vectors = data["vectors"]
    flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
    rows = pa.table({"id": np.arange(len(vectors)), "state": data["states"], "role": data["roles"], "vector": flat})
    begun = time.perf_counter()
    table = await (await lancedb.connect_async(str(folder / "lance"))).create_table("bench", rows)
    await table.create_index("vector", config=HnswSq(distance_type="cosine", num_partitions=PARTITIONS))
    for column in ("state", "role"):
        await table.create_index(column, config=Bitmap())
    load_s = time.perf_counter() - begun

    async def ask(query: Any, where: str | None) -> list[str]:
        search = (await table.search(query)).distance_type("cosine").nprobes(PARTITIONS).ef(EF).limit(K).select(["id"])
        answer = await (search if where is None else search.where(where)).to_arrow()
        return [str(one) for one in answer["id"].to_pylist()]

    plain = await _in_flight(lambda q: ask(q, None), data["queries"], rounds=6)
    filtered = await _in_flight(lambda q: ask(q, FILTER), data["queries"], rounds=1)
    return _said("LanceDB in process", plain, filtered, load_s, f"lancedb {lancedb.__version__}")


async def _in_flight(ask: Callable[[Any], Awaitable[list[str]]], queries: Any, *, rounds: int) -> dict[str, Any]:
    """50 workers take questions from one list."""
    numbers, found = iter(range(len(queries) * rounds)), [list[str]()] * len(queries)
    took_ms: list[float] = []

    async def work() -> None:
        for number in numbers:
            begun = time.perf_counter()
            found[number % len(queries)] = await ask(queries[number % len(queries)])
            took_ms.append((time.perf_counter() - begun) * 1000)

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(50)))
    return {"qps": len(took_ms) / (time.perf_counter() - begun), "took_ms": took_ms, "found": found}


def hnswlib_in_process(data: Any, folder: Path) -> dict[str, Any]:
    import hnswlib

    vectors, queries = data["vectors"], data["queries"]
    begun = time.perf_counter()
    index = hnswlib.Index("cosine", vectors.shape[1])
    index.init_index(len(vectors), M=16, ef_construction=200)
    index.add_items(vectors, num_threads=THREADS)
    index.set_ef(EF)
    load_s = time.perf_counter() - begun
    chosen = (data["states"] == "OH") & (data["roles"] == "Electrician")
    plain = _threaded(lambda q: index.knn_query(q, K, num_threads=1)[0][0], queries, rounds=10)
    # The filter is Python's, asked for every neighbour that the graph comes by: its own way.
    filtered = _threaded(
        lambda q: index.knn_query(q, K, num_threads=1, filter=lambda label: bool(chosen[label]))[0][0],
        queries[:50], rounds=1,
    )  # fmt: skip
    return _said(
        "hnswlib in process", plain, filtered, load_s, f"hnswlib {version('hnswlib')}, M 16, ef {EF}, {THREADS} threads"
    )


def _threaded(ask: Callable[[Any], Any], queries: Any, *, rounds: int) -> dict[str, Any]:
    def timed(number: int) -> tuple[float, list[str]]:
        begun = time.perf_counter()
        found = [str(one) for one in ask(queries[number % len(queries)])]
        return (time.perf_counter() - begun) * 1000, found

    begun = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        done = list(pool.map(timed, range(len(queries) * rounds)))
    return {
        "qps": len(done) / (time.perf_counter() - begun),
        "took_ms": [ms for ms, _ in done],
        "found": [found for _, found in done[: len(queries)]],
    }


def _said(name: str, plain: dict[str, Any], filtered: dict[str, Any], load_s: float, notes: str) -> dict[str, Any]:
    found: Ids = plain["found"]
    return {
        "name": name,
        "qps": plain["qps"],
        "p50_ms": float(np.percentile(plain["took_ms"], 50)),
        "p99_ms": float(np.percentile(plain["took_ms"], 99)),
        "filtered_qps": filtered["qps"],
        "load_s": load_s,
        "rss_mib": psutil.Process().memory_info().rss / (1 << 20),
        "notes": notes,
        "found": found,
        "found_filtered": filtered["found"],
    }


LIMITS = {"lancedb": lancedb_in_process, "hnswlib": hnswlib_in_process}

if __name__ == "__main__":
    print(json.dumps(LIMITS[sys.argv[1]](np.load(sys.argv[2]), Path(sys.argv[3]))))
