"""The meter of outcomes: runs of a day by model version, against those that a baseline keeps.

The baseline keeps numbers of its runs and none of their texts. Their labels are read again at every comparison, so that
a correction since then changes both sides alike, and is told.

Belongs here: which files are read, columns, series by the hour. Not here: SQL (see drift_run_facts.py), tests (see
lakehouse/drift/outcome.py, series.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.adapters.drift_evidence import EvidenceSource, days_from, days_until, runs_and_testimony
from lakehouse.adapters.drift_run_facts import (
    STREAMS,
    first_lines_statement,
    hours_statement,
    labels_statement,
    returned_statement,
    runs_statement,
)
from lakehouse.adapters.scoring_facts import turns_statement
from lakehouse.adapters.scoring_records import records
from lakehouse.adapters.scoring_testimony import models_statement, said_statement, wanted_statement, words_statement
from lakehouse.counted import counted
from lakehouse.drift.baseline import Baseline
from lakehouse.drift.finding import Finding
from lakehouse.drift.meter import Comparison, Taken
from lakehouse.drift.outcome import COLUMNS, Runs, compare_versions
from lakehouse.drift.rule_file import DriftRules
from lakehouse.drift.series import alarms, anomaly_scores, warm_up_of
from lakehouse.query.quoting import quote_text
from lakehouse.scoring.labels import default_labels
from lakehouse.scoring.signs import default_signs

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_HISTORY_DAYS = 60
_LEAST_HOURS = 200
"""Of fewer hours a series is not looked at: 15 % of it must teach something."""
_SERIES = ("latency_ms", "cost_usd", "failed")
_SHOWN_HOURS = 24 * 14
_MOST_NAME = 120
_SERVES_AT = "SELECT DISTINCT evidence_key FROM evidence_index WHERE status = {status} AND run_id IN ({runs})"


@dataclass(frozen=True, slots=True)
class RunsMeter:
    """Measures outcome, latency and cost.

    Args:
        source: The evidence.
        rules: Days and samples.
    """

    source: EvidenceSource
    rules: DriftRules

    def take(self, first: date, last: date, folder: Path) -> Taken:
        """The runs of some days, as a Parquet file."""
        import pyarrow.parquet as pq

        rows, _ = self._runs(days_from(first, last))
        path = folder / "runs.parquet"
        pq.write_table(rows, path)
        counts = {name: runs.count for name, runs in runs_by_model(rows).items()}
        return Taken({"runs": counts}, rows.num_rows, path)

    def compare(self, baseline: Baseline, file: Path | None, day: date) -> Comparison:
        """Compare the runs of a day with those of the baseline, model by model."""
        import pyarrow.parquet as pq

        assert file is not None  # `take` writes one
        days = days_until(day, self.rules.kinds["outcome"].window_days)
        rows, returned = self._runs(days)
        kept = pq.read_table(file)
        then, corrected = self._labelled_again(kept, baseline.first)
        now = runs_by_model(rows)
        details: dict[str, Any] = {
            "first_day": days[0].isoformat(),
            "runs": {name: runs.count for name, runs in now.items()},
            "baseline_runs": dict(baseline.data["runs"]),
            "baseline_labels_corrected": corrected,
            "runs_returned_with_corrections": returned,
        }
        if not now:
            return Comparison((), details, reason=f"no model ran from {days[0]} to {day}{self._unread(days)}")
        least = self.rules.kinds["outcome"].least_samples
        findings = compare_versions(now, runs_by_model(then), least_samples=least)
        notices, series = self._series(day)
        return Comparison((*findings, *notices), {**details, "series": series})

    def _unread(self, days: Sequence[date]) -> str:
        """What a day without a run owes to lines that fitted none."""
        count = self.source.quarantined(STREAMS, days)
        if not count:
            return ""
        lie = "lies with its reason" if count == 1 else "lie with their reasons"
        return f" that could be read: {counted(count, 'line')} {lie} under quarantine/evidence/"

    def _runs(self, days: Sequence[date]) -> tuple[pa.Table, int]:
        """The runs of some days, and how many of these days came back with a correction."""
        # A corrected line may be of any day, so the files of such lines are looked up first.
        with self.source.opened(lambda stream, day: stream in STREAMS and day in days) as engine:
            corrected = _keys(engine, "corrected", "SELECT run_id FROM evidence")
        with self.source.opened(runs_and_testimony(STREAMS, days), scored_days=days) as engine, records(engine, days):
            self._label(engine, days, corrected)
            engine.execute(turns_statement(default_signs()))
            rows = engine.execute(runs_statement(default_signs())).to_arrow_table()
            (returned,) = engine.execute(returned_statement()).fetchone() or (0,)
        return rows, int(returned)

    def _labelled_again(self, kept: pa.Table, since: date) -> tuple[pa.Table, int]:
        """Runs of a baseline with the labels of today, and how many of these are other ones."""
        ids = kept.column("run_id")
        with self.source.opened(lambda *_: False) as engine:
            engine.register("kept", kept.select(["run_id"]))
            serving = _keys(engine, "serves", "SELECT run_id FROM kept")
            corrected = _keys(engine, "corrected", "SELECT run_id FROM kept")
        wanted = runs_and_testimony((), [since])
        with self.source.opened(wanted, keys=serving) as engine, records(engine, None):
            self._label(engine, None, corrected)
            engine.register("kept", kept.select(["run_id", "success"]))
            today = engine.execute(
                "SELECT k.run_id, b.run_id IS NOT NULL AS is_known, b.success, b.first_success,"
                " b.success IS DISTINCT FROM k.success AS is_other FROM kept k LEFT JOIN drift_labels b USING (run_id)"
                " ORDER BY k.run_id"
            ).to_arrow_table()
        assert today.num_rows == len(ids)  # both are sorted by run, once each
        import pyarrow.compute as pc

        is_known = today.column("is_known")
        for name in ("success", "first_success"):
            place = kept.schema.get_field_index(name)
            kept = kept.set_column(place, name, pc.if_else(is_known, today.column(name), kept.column(name)))
        other = pc.and_(is_known, today.column("is_other"))
        return kept, int(pc.sum(other).as_py() or 0)

    def _label(
        self, engine: duckdb.DuckDBPyConnection, days: Sequence[date] | None, corrected: Collection[str]
    ) -> None:
        engine.execute(models_statement())
        if days is not None:
            engine.execute(wanted_statement())
        engine.execute(words_statement(default_labels(), days=days))
        engine.execute(said_statement())
        engine.execute(first_lines_statement([self.source.url(key) for key in sorted(corrected)]))
        engine.execute(labels_statement())

    def _series(self, day: date) -> tuple[list[Finding], list[dict[str, Any]]]:
        """Alarms of a day in the series by the hour, and the series that have some."""
        days = set(days_until(day, _HISTORY_DAYS))
        with self.source.opened(lambda stream, at: stream in STREAMS and at in days) as engine:
            table = engine.execute(hours_statement()).to_arrow_table()
        findings, shown = [], []
        for model, hours in _by_model(table).items():
            for name in _SERIES:
                values = hours[name]
                is_known = np.isfinite(values)
                found = self._alarm(model, name, hours["hour"][is_known], values[is_known], day)
                if found is not None:
                    findings.append(found[0])
                    shown.append(found[1])
        return findings, shown

    def _alarm(
        self, model: str, name: str, hours: Any, values: Any, day: date
    ) -> tuple[Finding, dict[str, Any]] | None:
        if len(values) < _LEAST_HOURS:
            return None
        warm_up = warm_up_of(len(values))
        scores = anomaly_scores(values, warm_up=warm_up)
        raised = alarms(scores, threshold=self.rules.effects["series_score"].floor, warm_up=warm_up)
        today = [place for place in raised if hours[place].astype("datetime64[D]") == np.datetime64(day)]
        if not today:
            return None
        place = today[0]
        finding = Finding(
            model, f"{name} by the hour", "series_score", baseline=float(values[:place].mean()),
            now=float(values[place]), baseline_samples=int(place), samples=1, effect=float(scores[place]),
            verdict="notice", note=f"unlike the hours before it, from {hours[place]} on; look at what happened",
        )  # fmt: skip
        begin = max(0, len(values) - _SHOWN_HOURS)
        series = {
            "name": name, "group": model, "hours": [_moment(hour) for hour in hours[begin:]],
            "values": [float(value) for value in values[begin:]],
            "alarms": [_moment(hours[at]) for at in raised if at >= begin],
        }  # fmt: skip
        return finding, series


def _moment(hour: Any) -> str:
    return f"{hour}:00:00Z"


def runs_by_model(rows: pa.Table) -> dict[str, Runs]:
    """Rows of `runs_statement` as columns by model version."""
    models = _models(rows)
    columns = {name: _numbers(rows, name) for name in COLUMNS}
    versions = np.asarray(rows.column("rules_version").to_pylist(), dtype=object)
    made: dict[str, Runs] = {}
    for model in sorted(set(models)):
        places = models == model
        told = sorted({version for version in versions[places] if version})
        made[str(model)] = Runs({name: values[places] for name, values in columns.items()}, ", ".join(told))
    return made


def _by_model(table: pa.Table) -> Mapping[str, dict[str, Any]]:
    models = _models(table)
    hours = table.column("hour").to_numpy().astype("datetime64[h]")
    columns = {name: _numbers(table, name) for name in _SERIES}
    return {
        str(model): {"hour": hours[models == model], **{name: v[models == model] for name, v in columns.items()}}
        for model in sorted(set(models))
    }


def _models(rows: pa.Table) -> Any:
    """Names of models, cleaned for showing: callers may name a model anything."""
    shown = {
        name: "".join(sign if sign.isprintable() else "?" for sign in name)[:_MOST_NAME]
        for name in set(rows.column("model").to_pylist())
    }
    return np.asarray([shown[name] for name in rows.column("model").to_pylist()], dtype=object)


def _numbers(rows: pa.Table, name: str) -> Any:
    import pyarrow as pa

    if name not in rows.column_names:  # of a baseline that was set before there was such a column
        return np.full(rows.num_rows, np.nan)
    return rows.column(name).cast(pa.float64()).fill_null(float("nan")).to_numpy()


def _keys(engine: duckdb.DuckDBPyConnection, status: str, runs: str) -> list[str]:
    """Files of evidence in which lines of some runs lie."""
    rows = engine.execute(_SERVES_AT.format(status=quote_text(status), runs=runs)).fetchall()
    return [str(row[0]) for row in rows]
