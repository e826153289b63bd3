"""A corpus of workers from dataset to first answer: embedded by the static embedder, stored, searchable; memory.

The dataset is ingested over HTTP first and is not part of the time. The build is `lakehouse corpus build workers`, a
process of its own; searchable is the API's first answer from the whole corpus, asked while the build runs no more.

    python bench/corpus.py [--rows 500000]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from _verdict import judge  # noqa: E402
from ingest import MIB, Watch  # noqa: E402

from lakehouse.adapters.seaweedfs import require_fsync  # noqa: E402
from lakehouse.sample.workers import write_workers  # noqa: E402
from tests.api import TOKEN, ApiProcess, api_environ  # noqa: E402
from tests.servers import store_server  # noqa: E402

HEADERS = {"Authorization": f"Bearer {TOKEN}"}
MAX_S, MAX_MIB, MAX_API_MIB = 240, 2048, 1024
API_ROWS = 100_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=500_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="bench-corpus-") as name:
        folder = Path(name)
        write_workers(folder / "workers.csv", rows)
        with store_server(folder / "store") as server:
            require_fsync(server.embedded)
            environ = api_environ(
                server.objects(), folder / "api", corpora_dir=ROOT / "corpora", log_level="warning",
                playbook_embedder="static", holdout_share=0,
            )  # fmt: skip
            api = ApiProcess(environ, folder / "api.log")
            api.start()
            try:
                with api.client(timeout_s=600) as client, (folder / "workers.csv").open("rb") as file:
                    client.post("/v1/ingest?name=workers", files={"file": file}).raise_for_status()
                build_s, peak_mib, report = build(environ)
                begun = time.perf_counter()
                found = wait_for_rows(api, rows)
                searchable_s = time.perf_counter() - begun
                api_mib = Watch(pid_of(api)).rss_bytes() / MIB
            finally:
                api.stop()
    print(f"{rows:,} workers, {report['progress']['embedded']:,} embedded by {report['embedder']}, two cores")
    print(f"build {build_s:.1f} s ({rows / build_s:,.0f} rows/s), peak {peak_mib:,.0f} MiB")
    print(f"first answer of the whole corpus {searchable_s:.1f} s later: {found}; API {api_mib:,.0f} MiB")
    verdicts = [
        judge("embedded, stored and searchable", build_s + searchable_s, MAX_S, " s"),
        judge("peak memory of the build", peak_mib, MAX_MIB, " MiB"),
    ]
    if rows <= API_ROWS:
        verdicts.append(judge("memory of the API", api_mib, MAX_API_MIB, " MiB"))
    return 0 if all(verdicts) else 1


def build(environ: dict[str, str]) -> tuple[float, float, dict[str, Any]]:
    """Seconds, peak MiB of the process and its children, and what it reported."""
    command = [sys.executable, "-m", "lakehouse_cli", "corpus", "build", "workers", "--json"]
    begun = time.perf_counter()
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        watch = Watch(process.pid)
        with watch.watching():
            printed, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the build ended with {process.returncode}")
    return time.perf_counter() - begun, watch.peak_bytes / MIB, json.loads(printed)[0]


def wait_for_rows(api: ApiProcess, rows: int) -> str:
    """The id of the first result, once the corpus has all rows here."""
    body = {"query": "electrician with industrial wiring", "corpora": ["workers"], "k": 10, "use_playbook": False}
    deadline = time.monotonic() + 600
    with api.client(timeout_s=600) as client:
        while time.monotonic() < deadline:
            there = client.get("/v1/vectors/index/workers")
            if there.status_code == 200 and there.json()["rows"] == rows:
                answer = client.post("/v1/matrix/search", json=body)
                answer.raise_for_status()
                return str(answer.json()["results"][0]["id"])
            time.sleep(0.1)
    raise SystemExit("the corpus never came up")


def pid_of(api: ApiProcess) -> int:
    assert api.process is not None
    return psutil.Process(api.process.pid).pid


if __name__ == "__main__":
    sys.exit(main())
