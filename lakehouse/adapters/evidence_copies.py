"""Lines of one run that occur more than once in a partition: repeated, or corrected by a later one.

Same run and same bytes: a duplicate, of which the first serves. Same run and other bytes: a correction, of which the
latest `timestamp` serves, then the larger SHA-256 (CONTRACTS.md section 9).

Belongs here: finding and judging them over a staged file. Not here: writing the file (see evidence_engine.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import duckdb
    import numpy.typing as npt
    import pyarrow as pa

SERVES, CORRECTED, DUPLICATE = 0, 1, 2
_JUDGED = """
WITH copies AS (
  SELECT *, row_number() OVER (PARTITION BY run_id, sha256 ORDER BY place) > 1 AS is_copy FROM candidates
)
SELECT place, CASE WHEN is_copy THEN 2
  WHEN row_number() OVER (PARTITION BY run_id, is_copy ORDER BY moment DESC, sha256 DESC) > 1 THEN 1 ELSE 0 END AS kind
FROM copies"""


def judge_copies(
    engine: duckdb.DuckDBPyConnection, staged: Path, key_hashes: Sequence[npt.NDArray[np.uint64]]
) -> npt.NDArray[np.uint8] | None:
    """What each row of a staged evidence file is: `SERVES`, `CORRECTED` or `DUPLICATE`.

    Args:
        engine: Where the few rows in question are compared.
        staged: Evidence in Parquet.
        key_hashes: A 64-bit hash of each row's key, in order: only rows that share one are looked at.

    Returns:
        One for each row, or None where every row serves.
    """
    hashes = np.concatenate([np.zeros(0, dtype=np.uint64), *key_hashes])
    ordered = np.sort(hashes)
    shared = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(shared):
        return None
    candidates = _rows_at(staged, np.flatnonzero(np.isin(hashes, shared)))
    engine.register("candidates", candidates)
    try:
        judged = engine.execute(_JUDGED).fetchnumpy()
    finally:
        engine.unregister("candidates")
    kinds = np.zeros(len(hashes), dtype=np.uint8)
    kinds[judged["place"]] = judged["kind"]
    return kinds if kinds.any() else None


def _rows_at(staged: Path, places: npt.NDArray[np.int64]) -> pa.Table:
    """Key, hash and time of some rows of a file, which is read a row group at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    begin = 0
    with pq.ParquetFile(staged) as file:
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            here = places[(places >= begin) & (places < begin + count)]
            if len(here):
                rows = file.read_row_group(group, columns=["run_id", "timestamp", "provenance.sha256"])
                sha256 = rows["provenance"].combine_chunks().field("sha256")
                columns = {
                    "place": pa.array(here),
                    "run_id": rows["run_id"].take(here - begin),
                    "moment": rows["timestamp"].take(here - begin),
                    "sha256": sha256.take(pa.array(here - begin)),
                }
                tables.append(pa.table(columns))
            begin += count
    return pa.concat_tables(tables)
