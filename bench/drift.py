"""Drift on data of others: what must be found, what must not be, and NAB's score of the detector of series.

    .venv/bin/python bench/drift.py [--data ../shared/data/drift]

- LLMDrift (Chen, Zaharia & Zou 2023, arXiv:2307.09009): answers of GPT-4 of March and June 2023 to the same questions,
  through the comparison that the product runs on model versions. Its accuracy, its length and its refusals must raise
  alarms; halves of one version, split at random 200 times, must raise 5 % false alarms at most.
- NAB, realKnownCause: the detector that serves, at the threshold that serves, by NAB's windows and formula.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from _nab import normalized, raw_score, read_series  # noqa: E402
from _verdict import judge as judge_limit  # noqa: E402

from lakehouse.drift.finding import Finding  # noqa: E402
from lakehouse.drift.judging import judge  # noqa: E402
from lakehouse.drift.outcome import Runs, compare_runs, compare_versions  # noqa: E402
from lakehouse.drift.rule_file import default_rules  # noqa: E402
from lakehouse.drift.series import alarms, anomaly_scores  # noqa: E402

SPLITS = 200
SIZES = (1000, 200)
"""Answers that are split: all there are, and so few that chance makes large effects."""
MOST_FALSE = 0.05
MUST_MOVE = ("success", "length", "refused")
PUBLISHED = {"gpt-4-0314": 0.840, "gpt-4-0613": 0.511}
RULES = default_rules()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "drift")
    folder = parser.parse_args().data
    runs = read_runs(folder / "PRIME_FULL_EVAL.csv")
    halves = [halves_agree(name, one, most) for name, one in runs.items() for most in SIZES]
    results = [versions_differ(runs), *halves, nab(folder)]
    return 0 if all(results) else 1


def read_runs(path: Path) -> dict[str, Runs]:
    """Runs by model version, as the product's evidence would have them."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = sorted({row["model"] for row in rows})
    return {name.split("/")[-1]: _runs([row for row in rows if row["model"] == name]) for name in names}


def _runs(rows: Sequence[Mapping[str, str]]) -> Runs:
    answers = [row["answer"].lower() for row in rows]
    right = [
        ("[yes]" if row["ref_answer"].lower() == "yes" else "[no]") in answer
        for row, answer in zip(rows, answers, strict=True)
    ]
    success = np.array(right, np.float64)
    unknown = np.full(len(rows), np.nan)
    return Runs(
        {
            "success": success,
            "first_success": success,
            "accepted": unknown,
            # The question asks for "[Yes]" or "[No]"; an answer that is neither refuses to give one.
            "refused": np.array(["[yes]" not in a and "[no]" not in a for a in answers], np.float64),
            "failed": unknown,
            "length": np.array([float(row["answer_token"]) for row in rows]),
            "latency_ms": np.array([1000 * float(row["latency"]) for row in rows]),
            "cost_usd": np.array([float(row["cost"]) for row in rows]),
        }
    )


def versions_differ(runs: Mapping[str, Runs]) -> bool:
    """GPT-4 of June against a baseline of March."""
    least = RULES.kinds["outcome"].least_samples
    now, before = {"gpt-4-0613": runs["gpt-4-0613"]}, {"gpt-4-0314": runs["gpt-4-0314"]}
    found = judge(compare_versions(now, before, least_samples=least), RULES)
    print(f"GPT-4, June against March 2023, {found[0].samples} answers each, rules {RULES.version}")
    for one in found:
        print(f"  {_told(one)}")
    raised = {one.name for one in found if one.verdict == "drift"}
    is_found = all(name in raised for name in MUST_MOVE)
    print(f"  accuracy, length and refusals raise alarms: {_said(is_found)}")
    as_published = all(abs(float(np.mean(runs[n].columns["success"])) - v) < 0.02 for n, v in PUBLISHED.items())
    print(f"  accuracy within two points of what was published, {PUBLISHED}: {_said(as_published)}")
    return is_found and as_published


def halves_agree(name: str, runs: Runs, most: int) -> bool:
    """Halves of one version at random, of so many of its answers."""
    generator = np.random.default_rng(7)
    least = RULES.kinds["outcome"].least_samples
    false = 0
    for _ in range(SPLITS):
        order = generator.permutation(runs.count)[:most]
        first, second = (_taken(runs, part) for part in np.array_split(order, 2))
        found = judge(compare_runs(name, first, second, least_samples=least), RULES)
        false += any(one.verdict == "drift" for one in found)
    is_few = false <= MOST_FALSE * SPLITS
    print(f"{name}: {SPLITS} random halves of {most}, {false} false alarms ({false / SPLITS:.1%}): {_said(is_few)}")
    return is_few


def _taken(runs: Runs, places: np.ndarray) -> Runs:
    return Runs({column: values[places] for column, values in runs.columns.items()})


def nab(folder: Path) -> bool:
    """NAB's score at the threshold that serves, and at the best one there is, which is how NAB scores detectors."""
    threshold = RULES.effects["series_score"].floor
    series = list(read_series(folder))
    begun = time.perf_counter()
    scores = [anomaly_scores(one.values, warm_up=one.warm_up) for one in series]
    seconds = time.perf_counter() - begun
    rows = sum(len(one.values) for one in series)
    print(f"NAB realKnownCause, standard profile, {rows:,} rows in {seconds:.2f} s")
    windows = sum(one.scored_windows for one in series)

    def at(level: float) -> list[float]:
        return [
            raw_score(one, alarms(found, threshold=level, warm_up=one.warm_up))
            for one, found in zip(series, scores, strict=True)
        ]

    for one, found, score in zip(series, scores, at(threshold), strict=True):
        raised = alarms(found, threshold=threshold, warm_up=one.warm_up)
        hit = sum(any(begin <= alarm <= end for alarm in raised) for begin, end in one.windows)
        print(f"  {one.name:<40} {hit} of {len(one.windows)} windows, {len(raised):>3} alarms, raw {score:6.2f}")
    serving = normalized(at(threshold), windows)
    levels = np.unique(np.round(np.linspace(1.0, 12.0, 221), 4))
    best = max(levels, key=lambda level: sum(at(float(level))))
    print(f"  score at the threshold that serves ({threshold}): {serving:.1f} of 100 (0: says nothing)")
    print(f"  score at the best threshold ({best:g}), as NAB has it: {normalized(at(float(best)), windows):.1f}")
    return judge_limit("NAB: score that serves over saying nothing, of 1", serving / 100, 0, at_least=True)


def _told(one: Finding) -> str:
    if one.p_adjusted is None or one.effect is None:
        return f"{one.name:<11} {one.verdict}: {one.note}"
    return (
        f"{one.name:<11} {one.baseline:10.4f} -> {one.now:10.4f}  {one.effect_name} {one.effect:+.3f}"
        f"  p {one.p_adjusted:.1e}  {one.verdict}"
    )


def _said(is_good: bool) -> str:
    return "PASS" if is_good else "FAIL"


if __name__ == "__main__":
    sys.exit(main())
