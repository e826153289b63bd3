"""Vector search side by side: Lakehouse, Chroma's server and pgvector; LanceDB and hnswlib in process as the limits.

    python bench/peers.py [--rows 100000]

All are loaded with the same vectors of résumés and asked the same questions in one run, 50 at once (hnswlib: as many as
there are cores), one after the other on the same cores; recall is against a full comparison. Those that are served are
asked over the network of this machine, the two in process have no server, door, log or durable write to pay for.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
import tempfile
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent))

from _limits import LIMITS, measure_limit
from _peers import measure_chroma, measure_pgvector
from _verdict import judge
from retrieval import load_ours, make_workload, measure_ours, serving, table

# A lower recall than this is another task, and its rate says nothing beside the others'.
MIN_RECALL = 0.9


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    given = parser.parse_args()
    work = make_workload(given.rows)
    print(machine())
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as name:
        folder = Path(name)
        with serving(folder) as api:
            ours = measure_ours(api, work, load_s=load_ours(api, work))
        chroma, pgvector = measure_chroma(work, folder), measure_pgvector(work, folder)
        limits = [measure_limit(limit, work, folder) for limit in LIMITS]
    table(given.rows, [ours, chroma, pgvector, *limits])
    lance, graph = limits
    verdicts = [
        judge("least recall@10 of all", min(m.recall for m in [ours, chroma, pgvector, *limits]), MIN_RECALL,
              at_least=True),
        judge("QPS over Chroma's", ours.qps / chroma.qps, 5, "x", at_least=True),
        judge("QPS over pgvector's", ours.qps / pgvector.qps, 1, "x", at_least=True),
        judge("QPS over LanceDB's in process", ours.qps / lance.qps, 1, "x", at_least=True),
        judge("loading, times faster than Chroma", chroma.load_s / ours.load_s, 10, "x", at_least=True),
    ]  # fmt: skip
    print(f"hnswlib in process answers {graph.qps / ours.qps:.1f} times as many")
    return 0 if all(verdicts) else 1


def machine() -> str:
    """The machine in one line: processor, cores, memory, interpreter and kernel."""
    said = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory_gib = psutil.virtual_memory().total / (1 << 30)
    return (
        f"{said[1] if said else platform.machine()}, {os.cpu_count()} cores, {memory_gib:.0f} GiB,"
        f" Python {platform.python_version()}, {platform.system()} {platform.release()}"
    )


if __name__ == "__main__":
    sys.exit(main())
