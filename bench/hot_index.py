"""The hot index in process, one thread, against bare faiss on the same codes, hnswlib and a full comparison.

    python bench/hot_index.py [--rows 100000] [--dimension 384] [--no-hnsw]

Vectors are those of résumés by the static embedder, 256 values turned into more by a fixed rotation, which leaves every
distance as it is. Queries are other résumés, what a recruiter would type, and single words. Bare faiss is one call of
its search for the same candidates, without their exact distances, ids or a lock.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _verdict import judge, tell_ratio

from lakehouse.adapters.codes_search import search_codes
from lakehouse.adapters.faiss_codes import Codes
from lakehouse.adapters.faiss_kernels import faiss_library, nearest
from lakehouse.adapters.hot_index import Hit, HotIndex
from lakehouse.adapters.static_embedder import StaticEmbedder
from lakehouse.retrieval.filters import Filter, parse_filter
from lakehouse.sample.workers import worker_batches

K = 10
QUERIES = 300
BATCH = 10_000
ROUNDS = 3
_ROLE, _CITY, _STATE, _SKILLS, _RESUME = 2, 3, 4, 15, 17
Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]


def make_vectors(rows: int, dimension: int) -> tuple[Vectors, dict[str, Vectors]]:
    """Vectors of résumés, and queries by kind."""
    embedder = StaticEmbedder()
    workers = list[Vectors]()
    typed = list[str]()
    for batch in worker_batches(rows + QUERIES):
        workers.append(embedder.embed([str(worker[_RESUME]) for worker in batch]))
        typed += [f"{w[_ROLE]} in {w[_CITY]}, {w[_STATE]}: {str(w[_SKILLS]).split(',')[0]}" for w in batch[:QUERIES]]
    flat = np.concatenate(workers)
    words = sorted({word for text in typed for word in text.lower().split() if len(word) > 3})[:QUERIES]
    rotation = np.linalg.qr(np.random.default_rng(7).standard_normal((dimension, dimension)))[0][: flat.shape[1]]

    def turned(vectors: Vectors) -> Vectors:
        return np.ascontiguousarray(vectors @ rotation, dtype=np.float32)

    queries = {"résumés": flat[rows:], "typed": embedder.embed(typed[:QUERIES]), "words": embedder.embed(words)}
    return turned(flat[:rows]), {name: turned(vectors) for name, vectors in queries.items()}


def load(vectors: Vectors) -> tuple[HotIndex, float, float]:
    """The index; seconds until the last row was found, and until the codes were there."""
    index = HotIndex(dimension=vectors.shape[1], has_text=False)
    batches = []
    for start in range(0, len(vectors), BATCH):
        numbers = range(start, min(start + BATCH, len(vectors)))
        flat = pa.array(vectors[start : start + BATCH].reshape(-1))
        columns = {
            "id": [f"w{n}" for n in numbers],
            "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
            "metadata": [json.dumps({"n": n, "percent": n % 100, "tenth": f"t{n % 10}"}) for n in numbers],
        }
        batches.append(pa.table(columns))
    begun = time.perf_counter()
    index.reserve(len(vectors))
    for batch in batches:
        index.upsert(batch)
    loaded = time.perf_counter()
    index.settle()
    return index, loaded - begun, time.perf_counter() - loaded


def exact(vectors: Vectors, queries: Vectors, rows: Rows | None = None) -> Rows:
    """The true nearest rows, of some or all."""
    some = vectors if rows is None else vectors[rows]
    found = np.concatenate([np.argsort(-(part @ some.T), axis=1)[:, :K] for part in np.array_split(queries, 10)])
    return found if rows is None else rows[found]


def recall(found: list[list[int]], truth: Rows) -> float:
    return float(np.mean([len(set(f) & set(t)) / K for f, t in zip(found, truth.tolist(), strict=True)]))


def timed(ask: Callable[[Vectors], object], queries: Vectors) -> list[float]:
    """Milliseconds of each query, all rounds; the first round warms up."""
    times: list[float] = []
    for turn in range(ROUNDS + 1):
        for query in queries:
            begun = time.perf_counter()
            ask(query)
            if turn:
                times.append((time.perf_counter() - begun) * 1000)
    return times


def show(name: str, times: list[float], share: float | None = None, note: str = "") -> float:
    cuts = statistics.quantiles(times, n=100)
    found = "" if share is None else f"{share:.4f}"
    rate = 1000 / statistics.mean(times)
    print(f"{name:<34}{min(times):8.3f}{cuts[49]:8.3f}{cuts[98]:8.3f}{rate:9,.0f}{found:>9}  {note}")
    return cuts[49]


def hnsw(vectors: Vectors) -> tuple[Any, float]:
    import hnswlib

    index = hnswlib.Index("ip", vectors.shape[1])
    index.init_index(len(vectors), M=16, ef_construction=100)
    begun = time.perf_counter()
    index.add_items(vectors, num_threads=1)
    index.set_num_threads(1)
    return index, time.perf_counter() - begun


def measure(index: HotIndex, vectors: Vectors, queries: dict[str, Vectors]) -> list[bool]:
    """Print the table of searches; whether the limits hold."""
    print(f"{'one thread':<34}{'min ms':>8}{'p50':>8}{'p99':>8}{'QPS':>9}{'recall':>9}")
    everything = index.select()

    def plain(query: Vectors) -> list[Hit]:
        return index.search_vector(query, K, index.select())

    recalls = {}
    p50 = 0.0
    for kind, some in queries.items():
        found = [[hit.row for hit in index.search_vector(query, K, everything)] for query in some]
        recalls[kind] = recall(found, exact(vectors, some))
        shown = show(
            f"hot index, {kind}", timed(lambda q: index.search_vector(q, K, index.select()), some), recalls[kind]
        )
        p50 = p50 or shown
    some = queries["résumés"]
    codes = index.generation.codes
    assert codes is not None
    faiss = faiss_library()
    lists = round(statistics.mean(lists_scanned(codes, vectors, query) for query in some))
    parameters = faiss.SearchParametersIVF(nprobe=lists)
    wanted = codes.width.candidates
    bare = timed(lambda q: codes.index.search(q[None], wanted, params=parameters), some)
    bare_p50 = show("bare faiss, the same candidates", bare, note=f"{wanted} of {lists} lists of {codes.lists}")
    tell_ratio("search, p50 over bare faiss's", p50 / bare_p50, more_is_better=False)
    filters = {"1 %": {"percent": 7}, "10 %": {"tenth": "t3"}, "50 %": {"percent": {"gte": 50}}}
    filtered = {}
    for share, document in filters.items():
        passing = parse_filter(document)

        def ask(query: Vectors, passing: Filter = passing) -> list[Hit]:
            return index.search_vector(query, K, index.select(filter=passing))

        truth = exact(vectors, some, index.select(filter=passing).rows())
        filtered[share] = recall([[hit.row for hit in ask(query)] for query in some], truth)
        show(f"{share} filter", timed(ask, some), filtered[share])
    excluded = [f"w{n}" for n in np.random.default_rng(1).integers(0, len(vectors), 10_000)]
    show(
        "10,000 excluded ids", timed(lambda q: index.search_vector(q, K, index.select(exclude_ids=excluded)), some[:30])
    )
    show("full comparison (numpy)", timed(lambda q: np.argpartition(-(vectors @ q), K)[:K], some[:20]))
    return [
        judge("recall@10, least of three kinds", min(recalls.values()), 0.98, at_least=True),
        judge("recall@10 under filters, least", min(filtered.values()), 0.98, at_least=True),
        judge("recall@10 under a 1 % filter", filtered["1 %"], 0.9999, at_least=True),
    ]


def lists_scanned(codes: Codes, vectors: Vectors, query: Vectors) -> int:
    """How many lists the hot index scans for a query."""
    closeness = np.sort(codes.closeness(query))[::-1]
    rows, distances = search_codes(codes, vectors, query, K)
    tenth = 1 - float(nearest(rows, distances, K)[1][-1])
    return int(np.count_nonzero(closeness >= min(closeness[0] - codes.width.gap, tenth - codes.width.reach)))


def measure_writes(index: HotIndex, vectors: Vectors) -> None:
    """One row at a time, found at once; a snapshot and back."""
    times = []
    for n in range(1_000):
        vector = vectors[n] + vectors[-n - 1]
        row = pa.FixedSizeListArray.from_arrays(pa.array(vector), len(vector))
        batch = pa.record_batch({"id": [f"w{n}"], "vector": row, "metadata": ["{}"]})
        begun = time.perf_counter()
        index.upsert(batch)
        times.append((time.perf_counter() - begun) * 1000)
    show("replacing one row", times)
    show("search beside 1,000 fresh rows", timed(lambda q: index.search_vector(q, K, index.select()), vectors[:100]))
    with tempfile.TemporaryDirectory(prefix="bench-hot-index-") as name:
        begun = time.perf_counter()
        index.save(Path(name) / "snapshot")
        saved = time.perf_counter()
        again = HotIndex.load(Path(name) / "snapshot")
        size = sum(path.stat().st_size for path in Path(name).rglob("*") if path.is_file())
        print(f"snapshot: {saved - begun:.2f} s, {size >> 20} MiB; read in {time.perf_counter() - saved:.2f} s")
        query = vectors[5]
        assert again.search_vector(query, K, again.select()) == index.search_vector(query, K, index.select())


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rows", type=int, default=100_000)
    arguments.add_argument("--dimension", type=int, default=384)
    arguments.add_argument("--no-hnsw", action="store_true")
    given = arguments.parse_args()
    vectors, queries = make_vectors(given.rows, given.dimension)
    index, loading_s, settling_s = load(vectors)
    stats = index.stats()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{given.rows:,} x {given.dimension} résumé vectors: rows in {loading_s:.2f} s, codes in {settling_s:.2f} s,")
    print(f"{stats['bytes'] >> 20} MiB (vectors {vectors.nbytes >> 20}), peak of this process {peak} MiB; {stats}")
    verdicts = measure(index, vectors, queries)
    measure_writes(index, vectors)
    if not given.no_hnsw:
        graph, built_s = hnsw(vectors)
        some = queries["résumés"]
        truth = exact(vectors, some)
        for ef in (64, 256):
            graph.set_ef(ef)
            found = [graph.knn_query(query, K)[0][0].tolist() for query in some]
            note = f"built in {built_s:.0f} s"
            show(f"hnswlib M 16, ef {ef}", timed(lambda q: graph.knn_query(q, K), some), recall(found, truth), note)
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
