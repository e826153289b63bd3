"""Scoring runs: from evidence to a Parquet file for each day, and the labels that are not in the table.

Everything is SQL over the connection's relation `evidence`; Python sees each combination of rules that holds only once,
and the refused labels.

Belongs here: the order of the statements, the accounts. Not here: the rules (see lakehouse/scoring), what is gathered
(see scoring_testimony.py and scoring_facts.py), which files evidence lies in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from lakehouse.adapters.scoring_facts import runs_statement, turns_statement
from lakehouse.adapters.scoring_records import RECORDS, RUNS, WORDS, days_of_runs, listed_days, records
from lakehouse.adapters.scoring_testimony import models_statement, said_statement, wanted_statement, words_statement
from lakehouse.adapters.scoring_writer import ScoredWriter
from lakehouse.scoring.labels import UNREAD, Labels, default_labels
from lakehouse.scoring.rules import RuleSet, Verdict
from lakehouse.scoring.signs import Signs, default_signs
from lakehouse.scoring.streams import RUN
from lakehouse.tables.scored import SCORES, Score, scored_schema

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_BATCH_ROWS = 20_480
MAX_LABEL_CHARACTERS = 1000
"""So much of a label that could not be read is kept in quarantine."""


@dataclass(frozen=True, slots=True)
class ScoredCounts:
    """The accounts: every run has exactly one score.

    Attributes:
        runs: Runs that were scored, which is the number of rows.
        by_score: How many of each score.
        by_kind: How many rest on each kind of ground.
        testimony: Words of others that counted.
        quarantined: Labels that are not in the table.
    """

    runs: int
    by_score: Mapping[Score, int]
    by_kind: Mapping[str, int]
    testimony: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class Scored:
    """What came of scoring.

    Attributes:
        files: The file of each day; it conforms to `scored_schema` and is there even when it has no row.
        counts: The accounts.
        quarantine: Labels that are not in the table, as JSON lines, or None.
    """

    files: Mapping[date, Path]
    counts: ScoredCounts
    quarantine: Path | None


class ScoringEngine:
    """Scores runs by rules.

    Args:
        rules: The rules.
        labels: What labels mean; the platform's table by default.
        signs: What is looked for in texts; the platform's by default.
    """

    def __init__(self, rules: RuleSet, *, labels: Labels | None = None, signs: Signs | None = None) -> None:
        self._rules = rules
        self._labels = labels or default_labels()
        self._signs = signs or default_signs()

    def score(self, connection: duckdb.DuckDBPyConnection, days: Sequence[date] | None, target: Path) -> Scored:
        """Score the runs of some days by everything that is known of them, whenever it was said.

        Args:
            connection: Has the relation `evidence`; used by nobody else meanwhile. Temporary relations called
                `scoring_…` come and go in it.
            days: Days of the runs; None: all there are.
            target: Folder for `dt=YYYY-MM-DD/scored.parquet` and `quarantine.jsonl`.

        Returns:
            The files and the accounts.
        """
        with records(connection, days):
            asked = days_of_runs(connection) if days is None else sorted(set(days))
            connection.execute(models_statement())
            if days is not None:
                connection.execute(wanted_statement())
            connection.execute(words_statement(self._labels, days=days))
            connection.execute(said_statement())
            connection.execute(turns_statement(self._signs))
            accounts = _Accounts()
            with ScoredWriter(target, asked) as writer:
                reader = connection.execute(runs_statement(self._rules, self._signs)).to_arrow_reader(_BATCH_ROWS)
                verdicts = _Verdicts(self._rules)
                for batch in reader:
                    rows, chosen = verdicts.applied(batch)
                    accounts.take(rows, chosen)
                    for day, part in _by_day(rows):
                        writer.write(day, part)
            quarantined = _write_unread(connection, days, target / "quarantine.jsonl")
        counts = ScoredCounts(accounts.runs, accounts.by_score, accounts.by_kind, accounts.testimony, quarantined)
        return Scored(writer.files, counts, target / "quarantine.jsonl" if quarantined else None)

    def days_touched(self, connection: duckdb.DuckDBPyConnection, since_days: Sequence[date]) -> list[date]:
        """The days whose runs are spoken of by testimony that was recorded on some days.

        Args:
            connection: Has the relation `evidence`, as in `score`.
            since_days: Days of the testimony's raw objects.

        Returns:
            Days in order: those, and no others, whose scores may be others than before.
        """
        with records(connection, None):
            connection.execute(models_statement())
            connection.execute(words_statement(self._labels, since=sorted(set(since_days))))
            rows = connection.execute(
                f"SELECT DISTINCT dt FROM {RUNS} WHERE run_id IN"
                f" (SELECT about FROM {WORDS} WHERE kind <> 'label') ORDER BY dt"
            ).fetchall()
        return [row[0] for row in rows]


class _Accounts:
    def __init__(self) -> None:
        self.runs = self.testimony = 0
        self.by_score: dict[Score, int] = dict.fromkeys(SCORES, 0)
        self.by_kind: dict[str, int] = {}

    def take(self, rows: pa.Table, chosen: Sequence[tuple[Verdict, int]]) -> None:
        import pyarrow.compute as pc

        self.runs += rows.num_rows
        self.testimony += pc.sum(rows["testimony"]).as_py() or 0
        for verdict, count in chosen:
            self.by_score[verdict.score] += count
            self.by_kind[verdict.kind] = self.by_kind.get(verdict.kind, 0) + count


class _Verdicts:
    """Puts verdicts beside runs: each combination of rules is judged once."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules

    def applied(self, batch: pa.RecordBatch) -> tuple[pa.Table, list[tuple[Verdict, int]]]:
        """The rows of `scored`, and each verdict that was given with how often it was."""
        import pyarrow as pa

        masks, places, counts = np.unique(batch["mask"].to_numpy(), return_inverse=True, return_counts=True)
        verdicts = [self._rules.verdict_of(int(mask)) for mask in masks]
        at = pa.array(places.astype(np.int32))
        given = {
            "score": pa.array([verdict.score for verdict in verdicts], pa.string()).take(at),
            "reasons": pa.array([list(verdict.reasons) for verdict in verdicts], pa.list_(pa.string())).take(at),
            "rule": pa.array([verdict.rule for verdict in verdicts], pa.string()).take(at),
            "kind_of_ground": pa.array([verdict.kind for verdict in verdicts], pa.string()).take(at),
            "rules_version": pa.repeat(pa.scalar(self._rules.version), batch.num_rows),
        }
        schema = scored_schema()
        columns = [given[name] if name in given else batch[name].cast(schema.field(name).type) for name in schema.names]
        return pa.Table.from_arrays(columns, schema=schema), list(zip(verdicts, map(int, counts), strict=True))


def _by_day(rows: pa.Table) -> Iterator[tuple[date, pa.Table]]:
    """Rows that stand in the order of their days, cut where the day changes."""
    days = rows["dt"].to_numpy()
    begins = np.flatnonzero(np.concatenate([[True], days[1:] != days[:-1]])) if len(days) else np.zeros(0, np.int64)
    for begin, end in zip(begins, [*begins[1:], len(days)], strict=True):
        yield days[begin].astype("datetime64[D]").item(), rows.slice(begin, end - begin)


def _write_unread(connection: duckdb.DuckDBPyConnection, days: Sequence[date] | None, path: Path) -> int:
    """Write the labels that are not in the table: on the day of the run they are about, else on their own."""
    path.unlink(missing_ok=True)
    unread = f"{WORDS} WHERE says = '{UNREAD}'"
    if connection.execute(f"SELECT 1 FROM {unread} LIMIT 1").fetchone() is None:
        return 0
    on_days = "" if days is None else f" WHERE coalesce(runs.dt, unread.dt) IN ({listed_days(days)})"
    connection.execute(
        f"WITH unread AS (SELECT * FROM {unread}), runs AS (SELECT run_id, min(dt) AS dt FROM {RECORDS}"
        f" WHERE ({RUN}) AND run_id IN (SELECT about FROM unread) GROUP BY run_id)"
        " SELECT coalesce(runs.dt, unread.dt) AS dt, unread.run_id, about, stream, source_key, line, field,"
        f" left(label, {MAX_LABEL_CHARACTERS}) AS label FROM unread LEFT JOIN runs ON runs.run_id = about"
        f"{on_days} ORDER BY dt, source_key, line, unread.run_id, field"
    )
    count = 0
    with path.open("wb") as file:
        while rows := connection.fetchmany(1000):
            file.writelines(_refused(row) for row in rows)
            count += len(rows)
    if not count:
        path.unlink()
    return count


def _refused(row: tuple[Any, ...]) -> bytes:
    refused = dict(zip(("dt", "run_id", "about", "stream", "source_key", "line", "field", "label"), row, strict=True))
    reason = f"{refused['field']} is not in the table of labels; add it to labels.yaml and score the day again"
    return orjson.dumps(refused | {"reason": reason}, option=orjson.OPT_APPEND_NEWLINE)
