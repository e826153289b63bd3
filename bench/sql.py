"""SQL over HTTP against bare DuckDB on the same Parquet on S3, in one run.

Limits: the median of each small query at most bare plus 3 ms; 100,000 rows as Arrow at most 1.5 times the bare fetch.

    python bench/sql.py [--rows 500000] [--repeats 100]
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb
import orjson
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _verdict import judge

from lakehouse.adapters.duckdb_engine import open_engine
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.manifest import Manifest
from lakehouse.query.request import EngineConfig
from tests.api import TOKEN, api_process
from tests.servers import store_server

MARGIN_MS = 3.0
ARROW_RATIO = 1.5
SMALL = {
    "count(*)": "SELECT count(*) FROM workers",
    "GROUP BY": "SELECT state, count(*) FROM workers GROUP BY state ORDER BY state",
    "AVG": "SELECT avg(hourly_rate) FROM workers",
}
LARGE = "SELECT * FROM workers LIMIT 100000"


def bare_engine(store: S3ObjectStore, manifest: Manifest, folder: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB with the settings of a worker, and one view over the manifest's files."""
    where = store.location
    config = EngineConfig(
        endpoint=where.endpoint, bucket=where.bucket, region=where.region, access_key_id=where.access_key_id,
        secret_access_key=where.secret_access_key, session_token=None, read_timeout_s=20,
        memory_bytes=2 << 30, temp_bytes=4 << 30, threads=2, temp_folder=str(folder),
    )  # fmt: skip
    engine = open_engine(config)[True]
    files = ", ".join(f"'s3://{store.bucket}/{o.key}'" for o in manifest.objects)
    engine.execute(f"CREATE VIEW workers AS SELECT * FROM read_parquet([{files}])")
    return engine


def milliseconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def in_turn(ours: Callable[[], object], bare: Callable[[], object], repeats: int) -> tuple[list[float], list[float]]:
    """Both, in turn, after three rounds that do not count."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(repeats + 3):
        pair = milliseconds(ours), milliseconds(bare)
        if number >= 3:
            times[0].append(pair[0])
            times[1].append(pair[1])
    return times


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rows", type=int, default=500_000)
    arguments.add_argument("--repeats", type=int, default=100)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-sql-") as name, store_server(Path(name) / "store") as server:
        folder = Path(name)
        sample = folder / "workers.csv"
        lakehouse = Path(sys.executable).with_name("lakehouse")
        subprocess.run([lakehouse, "sample", "workers", "--rows", str(given.rows), "--out", sample], check=True)
        store = server.objects(bucket="bench-sql")
        with api_process(store, folder / "api", log_level="warning") as api, api.client(timeout_s=300) as client:
            with sample.open("rb") as file:
                client.post("/v1/ingest?name=workers", files={"file": ("workers.csv", file)}).raise_for_status()
            manifest = Manifest.from_json(store.get("catalog/manifests/workers.json").body, key="workers")
            is_met = compare(api.connection(), bare_engine(store, manifest, folder), given.repeats, given.rows)
    return 0 if is_met else 1


def ask(api: http.client.HTTPConnection, sql: str, **more: object) -> http.client.HTTPResponse:
    """One query over a kept connection; the standard library's client costs least."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    api.request("POST", "/v1/sql", orjson.dumps({"sql": sql, **more}), headers)
    answer = api.getresponse()
    assert answer.status == 200, answer.read()[:500]
    return answer


def rows_of(api: http.client.HTTPConnection, sql: str) -> list[list[object]]:
    rows: list[list[object]] = orjson.loads(ask(api, sql).read())["rows"]
    return rows


def compare(client: http.client.HTTPConnection, engine: duckdb.DuckDBPyConnection, repeats: int, rows: int) -> bool:
    """Print both ways of each query side by side; whether the limits hold."""
    print(f"{rows} rows of 18 columns, {repeats} repeats in turn, medians in ms")
    print(f"{'query':<24}{'bare':>9}{'ours':>9}{'p99':>9}{'ours-bare':>11}")
    beyond_ms = []
    for name, sql in SMALL.items():
        assert orjson.loads(ask(client, sql).read())["row_count"] == len(engine.execute(sql).fetchall())
        ours, bare = in_turn(partial(rows_of, client, sql), lambda: engine.execute(sql).fetchall(), repeats)  # noqa: B023
        ours_ms, bare_ms = statistics.median(ours), statistics.median(bare)
        beyond_ms.append(ours_ms - bare_ms)
        p99_ms = statistics.quantiles(ours, n=100)[98]
        print(f"{name:<24}{bare_ms:9.2f}{ours_ms:9.2f}{p99_ms:9.2f}{ours_ms - bare_ms:11.2f}")

    def fetch() -> pa.Table:
        answer = ask(client, LARGE, format="arrow")
        table = pa.ipc.open_stream(answer).read_all()  # as it arrives
        answer.read()
        return table

    assert fetch().num_rows == engine.execute(LARGE).to_arrow_table().num_rows
    ours, bare = in_turn(fetch, lambda: engine.execute(LARGE).to_arrow_table(), max(5, repeats // 5))
    ours_ms, bare_ms = statistics.median(ours), statistics.median(bare)
    name = "100,000 rows as Arrow"
    print(f"{name:<24}{bare_ms:9.1f}{ours_ms:9.1f}")
    verdicts = [
        judge("small queries, most beyond bare DuckDB", max(beyond_ms), MARGIN_MS, " ms"),
        judge("100,000 rows as Arrow, time over bare DuckDB", ours_ms / bare_ms, ARROW_RATIO, "x"),
    ]
    return all(verdicts)


if __name__ == "__main__":
    sys.exit(main())
