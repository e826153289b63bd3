"""First content of each page on a warm server over a lake of 100,000 workers, against its limit of 300 ms.

Belongs here: measuring. Not here: what pages show (see tests/integration/test_ui_pages.py).
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.api import TOKEN, api_process
from tests.pages import fill_lake
from tests.servers import store_server

WORKERS = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
LIMIT_MS = 300.0
ROUNDS = 15
PATHS = {
    "fill": "/ui/fill?need=a+reliable+welder&count=2&corpus=workers",
    "search": "/ui/search?q=electrician+with+industrial+wiring&corpus=workers",
    "facets": "/ui/search/facets?corpus=workers",
    "facets, ticked": "/ui/search/facets?corpus=workers&f.state=%22OH%22&f.status=%22active%22&min.reliability=0.8",
    "datasets": "/ui/datasets",
    "dataset": "/ui/datasets/of/workers",
    "rows": "/ui/datasets/of/workers/rows",
    "sql": "/ui/sql",
    "memory": "/ui/memory",
    "runs": "/ui/runs",
    "runs, filtered": "/ui/runs?score=accepted",
    "corpora": "/ui/corpora",
    "triage": "/ui/triage",
    "drift": "/ui/drift",
    "replay": "/ui/replay",
    "health": "/ui/health",
}


def main() -> int:
    """Print a table; the exit code says whether every page kept its limit."""
    with (
        tempfile.TemporaryDirectory(prefix="lakehouse-bench-") as name,
        store_server(Path(name) / "store") as store,
        api_process(store.objects(bucket="bench-pages"), Path(name) / "api", sql_workers=2) as api,
    ):
        fill_lake(api, Path(name) / "files", workers=WORKERS)
        with httpx.Client(base_url=api.url, timeout=60, trust_env=False) as client:
            client.post("/ui/login", data={"token": TOKEN, "next": "/ui"})
            print(f"{WORKERS:,} workers, {ROUNDS} requests each after one to warm up, milliseconds to the first byte")
            print("| page | median | slowest |\n| --- | ---: | ---: |")
            slow = [key for key, path in PATHS.items() if not _measure(client, key, path)]
    print("every page is within its limit" if not slow else f"over {LIMIT_MS:g} ms: {', '.join(slow)}")
    return 1 if slow else 0


def _measure(client: httpx.Client, key: str, path: str) -> bool:
    client.get(path).raise_for_status()
    taken = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        with client.stream("GET", path) as answer:
            next(answer.iter_raw())
            taken.append((time.perf_counter() - begun) * 1000)
            answer.raise_for_status()
    median = statistics.median(taken)
    print(f"| {key} | {median:.0f} | {max(taken):.0f} |")
    return median <= LIMIT_MS


if __name__ == "__main__":
    sys.exit(main())
