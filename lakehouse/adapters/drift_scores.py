"""The meter of the scorer: the runs of a baseline scored again, by its rules and by those of today.

A baseline keeps the rules themselves, word for word, so that both can be applied to what is known today of the same
runs.

Belongs here: which files are read, scoring twice, counting. Not here: scoring (see scoring_engine.py), the comparison
(see lakehouse/drift/scorer.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lakehouse.adapters.drift_evidence import EvidenceSource, days_from, runs_and_testimony
from lakehouse.adapters.scoring_engine import ScoringEngine
from lakehouse.drift.baseline import Baseline
from lakehouse.drift.meter import Comparison, Taken
from lakehouse.drift.rule_file import DriftRules
from lakehouse.drift.scorer import Scored, judge_scores
from lakehouse.errors import BadInput
from lakehouse.query.quoting import quote_text
from lakehouse.scoring.labels import load_labels
from lakehouse.scoring.rule_file import default_rules, load_rules
from lakehouse.scoring.signs import Signs
from lakehouse.scoring.streams import SCORED
from lakehouse.tables.scored import SCORES

if TYPE_CHECKING:
    import duckdb

MOST_RUNS = 200_000
"""So many runs a baseline keeps, chosen by their ids."""
_TEXTS = ("rules", "labels", "signs")


@dataclass(frozen=True, slots=True)
class ScoresMeter:
    """Measures the scorer.

    Args:
        source: The evidence.
        rules: Level and floors.
        texts: The scorer's rules, labels and signs as YAML by those names; the platform's by default.
    """

    source: EvidenceSource
    rules: DriftRules
    texts: dict[str, str] | None = None

    def take(self, first: date, last: date, folder: Path) -> Taken:
        """The scores of some days and the rules that gave them."""
        days, texts = days_from(first, last), self._texts()
        path = folder / "scores.parquet"
        with self._opened(days) as engine:
            scored = _scored_files(engine, texts, days, folder / "now")
            engine.execute(
                f"COPY (SELECT run_id, stream, score FROM {scored} ORDER BY md5(run_id), run_id, stream"
                f" LIMIT {MOST_RUNS}) TO {quote_text(str(path))} (FORMAT parquet)"
            )
            (count,) = engine.execute(f"SELECT count(*) FROM read_parquet({quote_text(str(path))})").fetchone() or (0,)
        return Taken({"scoring_rules_version": _version(texts), "texts": texts, "runs": count}, int(count), path)

    def compare(self, baseline: Baseline, file: Path | None, day: date) -> Comparison:
        """Compare the rules of today with those of a baseline; `day` is that of the report alone."""
        assert file is not None  # `take` writes one
        now, then = self._texts(), {name: str(baseline.data["texts"][name]) for name in _TEXTS}
        days = days_from(baseline.first, baseline.last)
        folder = file.parent
        try:
            with self._opened(days) as engine:
                by_rules = _scored_files(engine, now, days, folder / "now")
                by_baseline = by_rules if now == then else _scored_files(engine, then, days, folder / "then")
                counts = _counted(engine, file, by_baseline, by_rules)
        except BadInput as error:
            reason = (
                f"the rules of the baseline are none that this program reads ({error.detail}); set another baseline"
            )
            return Comparison((), reason=reason)
        result = judge_scores(counts, self.rules)
        details: dict[str, Any] = {
            "scores": list(SCORES),
            "confusion": [list(row) for row in result.confusion],
            "corrections": [list(row) for row in result.corrections],
            "runs": result.runs,
            "moved": result.moved,
            "corrected": result.corrected,
            "gone": int(baseline.data["runs"]) - result.runs,
            "scoring_rules_version": _version(now),
            "baseline_scoring_rules_version": baseline.data["scoring_rules_version"],
        }
        share = result.corrected / result.runs if result.runs else 0.0
        return Comparison(result.findings, details, corrected_share=share)

    def _opened(self, days: Sequence[date]) -> Any:
        return self.source.opened(runs_and_testimony(SCORED, days))

    def _texts(self) -> dict[str, str]:
        folder = files("lakehouse.scoring")
        return self.texts or {name: folder.joinpath(f"{name}.yaml").read_text("utf-8") for name in _TEXTS}


def _scored_files(engine: duckdb.DuckDBPyConnection, texts: dict[str, str], days: Sequence[date], target: Path) -> str:
    """Score some days; gives SQL of their rows."""
    target.mkdir(exist_ok=True)
    rules = load_rules(texts["rules"], name="rules.yaml")
    labels = load_labels(texts["labels"], name="labels.yaml")
    scoring = ScoringEngine(rules, labels=labels, signs=Signs(**yaml.safe_load(texts["signs"])))
    made = scoring.score(engine, days, target)
    listed = ", ".join(quote_text(str(path)) for path in made.files.values())
    return f"read_parquet([{listed}], hive_partitioning = false)"


def _counted(engine: duckdb.DuckDBPyConnection, file: Path, by_baseline: str, by_rules: str) -> Counter[Scored]:
    """How often each combination of the three scores occurs."""
    rows = engine.execute(
        f"SELECT k.score, b.score, n.score, count(*) FROM read_parquet({quote_text(str(file))}) k"
        f" JOIN {by_baseline} b USING (run_id, stream) JOIN {by_rules} n USING (run_id, stream) GROUP BY ALL"
    ).fetchall()
    return Counter({Scored(*scores): int(count) for *scores, count in rows})


def _version(texts: dict[str, str]) -> str:
    if texts["rules"] == files("lakehouse.scoring").joinpath("rules.yaml").read_text("utf-8"):
        return default_rules().version
    return load_rules(texts["rules"], name="rules.yaml").version
