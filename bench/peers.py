"""Chroma's server and pgvector alone, on the same vectors and questions as `retrieval.py`, which has them in its run.

python bench/peers.py [--rows 100000]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from _peers import measure_chroma, measure_pgvector
from retrieval import make_workload, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    given = parser.parse_args()
    work = make_workload(given.rows)
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as name:
        folder = Path(name)
        table(given.rows, [measure_chroma(work, folder), measure_pgvector(work, folder)])


if __name__ == "__main__":
    main()
