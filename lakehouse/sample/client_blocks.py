"""Client blocks: which worker may not be sent to which client, as CSV, beside the staffing table.

Belongs here: `client_blocks(client_id, worker_id)`. Not here: the rule that reads it (see lakehouse/validation).
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

from lakehouse.sample.workers import DEFAULT_SEED

COLUMNS = ("client_id", "worker_id")
_CLIENTS = 40


def write_client_blocks(path: Path, rows: int, seed: int = DEFAULT_SEED, *, workers: int) -> int:
    """Write `rows` distinct blocks (at most one for each client and worker) and return the bytes.

    Args:
        path: The CSV file; replaced when it is there.
        rows: How many blocks.
        seed: The same seed gives the same bytes.
        workers: Ids are drawn from 1 to this.
    """
    draw = random.Random(f"client-blocks-{seed}")  # noqa: S311 - sample data, not secrets
    pairs = draw.sample(range(_CLIENTS * workers), min(rows, _CLIENTS * workers))
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((f"C-{pair % _CLIENTS + 1:04d}", pair // _CLIENTS + 1) for pair in sorted(pairs))
    return path.stat().st_size
