"""The records that scoring looks at: `evidence` as temporary views, with each run's day, and one record for each run.

Belongs here: the names of the temporary relations, days, repeated records. Not here: what records say (see
scoring_testimony.py, scoring_facts.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from lakehouse.scoring.streams import RUN

if TYPE_CHECKING:
    import duckdb

RECORDS = "scoring_records"
"""`evidence` with `dt`, one record for each run and stream."""
WANTED = "scoring_wanted"
"""Ids of the runs of the days that are asked for."""
MODELS = "scoring_models"
"""Models with their lineage."""
WORDS = "scoring_words"
"""What others said, a row for each word."""
SAID = "scoring_said"
"""What others said, a row for each run."""
TURNS = "scoring_turns"
"""What trajectories show, a row for each run."""
_TEMPORARY = (
    ("VIEW", "scoring_runs"), ("TABLE", WANTED), ("TABLE", MODELS), ("TABLE", WORDS), ("TABLE", SAID), ("TABLE", TURNS),
    ("VIEW", RECORDS), ("TABLE", "scoring_repeated"),
)  # fmt: skip
RUNS = "scoring_runs"
"""The records that are runs of the days that are asked for."""
# Evidence lies in folders by day; a record that does not say where it came from has the day it was recorded.
_DAY = (
    "coalesce(TRY_CAST(regexp_extract(provenance.source_key, '/dt=(\\d{4}-\\d{2}-\\d{2})/', 1) AS DATE),"
    " CAST(provenance.recorded_at AS DATE))"
)
# The rule of evidence: the latest `timestamp`, then the larger SHA-256; of equal bytes the first.
_SERVES = (
    "row_number() OVER (PARTITION BY stream, run_id ORDER BY timestamp DESC, provenance.sha256 DESC,"
    " provenance.source_key, provenance.line) = 1"
)


@contextmanager
def records(connection: duckdb.DuckDBPyConnection, days: Sequence[date] | None) -> Iterator[None]:
    """Make `RECORDS` and `RUNS`; the end of the context drops all temporary relations of scoring.

    Args:
        connection: Has the relation `evidence`; nobody else uses it meanwhile.
        days: The days of the runs; None: all.
    """
    _drop(connection)
    try:
        # Few runs have several records, and only these go through the window function.
        connection.execute(
            "CREATE TEMP TABLE scoring_repeated AS SELECT key FROM (SELECT hash(stream, run_id) AS key FROM evidence)"
            " GROUP BY key HAVING count(*) > 1"
        )
        dated = f"SELECT *, {_DAY} AS dt FROM evidence"
        if connection.execute("SELECT 1 FROM scoring_repeated LIMIT 1").fetchone():
            repeated = "hash(stream, run_id) IN (SELECT key FROM scoring_repeated)"
            dated = f"{dated} WHERE NOT ({repeated}) UNION ALL {dated} WHERE {repeated} QUALIFY {_SERVES}"
        connection.execute(f"CREATE TEMP VIEW {RECORDS} AS {dated}")
        on_days = "" if days is None else f" AND dt IN ({listed_days(days)})"
        connection.execute(
            f"CREATE TEMP VIEW {RUNS} AS SELECT * FROM {RECORDS} WHERE ({RUN}) AND dt IS NOT NULL{on_days}"
        )
        yield
    finally:
        _drop(connection)


def days_of_runs(connection: duckdb.DuckDBPyConnection) -> list[date]:
    """The days that have runs."""
    rows = connection.execute(f"SELECT DISTINCT dt FROM {RUNS} ORDER BY dt").fetchall()
    return [row[0] for row in rows]


def listed_days(days: Sequence[date]) -> str:
    """SQL of days in a list; of none a list that holds nothing."""
    return ", ".join(f"DATE '{day.isoformat()}'" for day in days) or "NULL"


def _drop(connection: duckdb.DuckDBPyConnection) -> None:
    for kind, name in _TEMPORARY:
        connection.execute(f"DROP {kind} IF EXISTS temp.{name}")
