"""Measures ingest over HTTP against bare DuckDB on the same file in the same run, and the memory that it takes.

Run: `python bench/ingest.py [--rows 500000] [--runs 5]`. Prints a table with ratios and limits; PASS or FAIL per limit.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from _verdict import judge  # noqa: E402

from lakehouse.adapters.seaweedfs import require_fsync  # noqa: E402
from lakehouse.sample.workers import write_workers  # noqa: E402
from tests.api import TOKEN, ApiProcess, api_environ  # noqa: E402
from tests.servers import store_server  # noqa: E402

MAX_RATIO = 2.0
MAX_RSS_MIB = 300.0
MAX_GROWTH = 0.10
MIB = 1 << 20
BOUNDARY = b"------------------------d74496d66958873e"  # as long as curl's
# Not `workers`: that dataset is held in memory for validation, which is no part of an ingest.
NAME = "shifts"
_SAMPLE_S = 0.01


@dataclass
class Watch:
    """Peak memory of a process and its children, sampled."""

    pid: int
    peak_bytes: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def rss_bytes(self) -> int:
        total = 0
        root = psutil.Process(self.pid)
        for process in [root, *root.children(recursive=True)]:
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Sample until the end of the block."""
        self.peak_bytes = 0
        self._stop.clear()
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _run(self) -> None:
        # Who is watched may end before the block does: what was seen until then counts.
        with suppress(psutil.NoSuchProcess):
            while not self._stop.is_set():
                self.peak_bytes = max(self.peak_bytes, self.rss_bytes())
                self._stop.wait(_SAMPLE_S)


def timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def bare_duckdb(source: Path, target: Path) -> float:
    """Seconds of `COPY (FROM read_csv(...)) TO local.parquet` with defaults, in a fresh process, by its own clock."""
    code = (
        "import duckdb, sys, time; c = duckdb.connect(); t = time.perf_counter();"
        "c.execute(f\"COPY (FROM read_csv('{sys.argv[1]}')) TO '{sys.argv[2]}' (FORMAT parquet)\");"
        "print(time.perf_counter() - t)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(source), str(target)], capture_output=True, text=True, check=True
    )
    return float(done.stdout.splitlines()[-1])  # before it stands a progress bar


def upload(api: ApiProcess, source: Path, name: str) -> dict[str, object]:
    """One ingest, the file streamed from disk as a client does."""
    head = b'--%b\r\nContent-Disposition: form-data; name="file"; filename="workers.csv"\r\n\r\n' % BOUNDARY
    tail = b"\r\n--%b--\r\n" % BOUNDARY
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=600)
    connection.putrequest("POST", f"/v1/ingest?name={name}")
    connection.putheader("Authorization", f"Bearer {TOKEN}")
    connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY.decode()}")
    connection.putheader("Content-Length", str(len(head) + source.stat().st_size + len(tail)))
    connection.endheaders(head)
    with source.open("rb") as stream:
        connection.sock.sendfile(stream)
    connection.send(tail)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status not in (200, 201):
        raise SystemExit(f"ingest answered {answer.status}: {body[:500]!r}")
    return dict(json.loads(body))


def marked(source: Path, target: Path, number: int) -> Path:
    """A copy of the file with one byte run of its own, so that no ingest finds the one before it."""
    shutil.copyfile(source, target)
    with target.open("r+b") as stream:
        header = stream.readline()
        line = stream.readline()
        position = len(header) + line.index(b",") + 1  # the first letters of a name
        stream.seek(position)
        stream.write(b"%02d" % number)
    return target


def doubled(source: Path, target: Path) -> Path:
    """The file with its records twice."""
    with target.open("wb") as out:
        for take in range(2):
            with source.open("rb") as stream:
                header = stream.readline()
                if take == 0:
                    out.write(header)
                shutil.copyfileobj(stream, out, MIB)
    return target


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=10, help="ingests in a row for the memory check")
    parser.add_argument("--folder", type=Path, default=None, help="work folder; default: a temporary one")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="bench-ingest-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return measure(folder, rows=given.rows, runs=given.runs, repeats=given.repeats)
    finally:
        if given.folder is None:
            shutil.rmtree(folder, ignore_errors=True)


def measure(folder: Path, *, rows: int, runs: int, repeats: int) -> int:
    source = folder / "workers.csv"
    if not source.exists():
        write_workers(source, rows=rows)
    size_mib = source.stat().st_size / MIB
    with store_server(folder / "store") as server:
        require_fsync(server.embedded)
        api = ApiProcess(api_environ(server.objects(), folder / "api"), folder / "api.log")
        api.start()
        try:
            assert api.process is not None
            watch = Watch(api.process.pid)
            upload(api, marked(source, folder / "warm.csv", 99), NAME)
            bare_duckdb(source, folder / "bare.parquet")
            bare, ours, peaks = [], [], []
            settle(watch)
            idle_bytes = watch.rss_bytes()
            for run in range(runs):
                copy = marked(source, folder / "run.csv", run)
                bare.append(bare_duckdb(copy, folder / "bare.parquet"))
                with watch.watching():
                    ours.append(timed(partial(upload, api, copy, NAME)))
                peaks.append((watch.peak_bytes - idle_bytes) / MIB)
            twice = doubled(source, folder / "twice.csv")
            double_times, double_peaks = [], []
            for number in range(3):
                copy = marked(twice, folder / "run.csv", 50 + number)
                with watch.watching():
                    double_times.append(timed(partial(upload, api, copy, NAME)))
                double_peaks.append((watch.peak_bytes - idle_bytes) / MIB)
                settle(watch)
            double_s, double_peak = statistics.median(double_times), statistics.median(double_peaks)
            row_peaks, idles = [], []
            for number in range(repeats):
                copy = marked(source, folder / "run.csv", 10 + number)
                with watch.watching():
                    upload(api, copy, NAME)
                row_peaks.append((watch.peak_bytes - idle_bytes) / MIB)
                settle(watch)
                idles.append(watch.rss_bytes() / MIB)
        finally:
            api.stop(how=signal.SIGTERM)
    ratios = [mine / theirs for mine, theirs in zip(ours, bare, strict=True)]
    print(f"file: {rows:,} rows, {size_mib:,.0f} MiB; {os.cpu_count()} cores; {runs} runs; medians (min-max)")
    print(f"bare DuckDB COPY, defaults, local file   {row(bare)} s")
    print(f"ingest over HTTP, fsynced store          {row(ours)} s")
    print(f"ratio, run by run                        {row(ratios)}")
    print(f"peak over idle ({idle_bytes / MIB:.0f} MiB)                 {row(peaks)} MiB")
    print(f"twice the file: {double_s:.2f} s, peak over idle {double_peak:.0f} MiB")
    print(
        f"{repeats} in a row: peaks {row(row_peaks)} MiB; idle after the first {idles[0]:.0f}, last {idles[-1]:.0f} MiB"
    )
    peak = statistics.median(peaks)
    first, last = statistics.median(row_peaks[:3]), statistics.median(row_peaks[-3:])
    verdicts = [
        judge("time over bare DuckDB", statistics.median(ratios), MAX_RATIO, "x"),
        judge("peak memory over idle", max(peaks), MAX_RSS_MIB, " MiB"),
        judge("growth of the peak when the file doubles", 100 * (double_peak / peak - 1), 100 * MAX_GROWTH, " %"),
        judge("growth of the peak over ingests in a row", 100 * (last / first - 1), 100 * MAX_GROWTH, " %"),
        judge("growth of idle memory over ingests in a row", 100 * (idles[-1] / idles[0] - 1), 100 * MAX_GROWTH, " %"),
    ]
    return 0 if all(verdicts) else 1


def settle(watch: Watch) -> None:
    """Wait until the memory of an idle API stands still."""
    before = -1
    while (now := watch.rss_bytes()) != before:
        before = now
        time.sleep(0.5)


def row(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


if __name__ == "__main__":
    sys.exit(main())
