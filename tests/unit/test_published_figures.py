"""Published figures held against their rows: verdicts, and those of the real benchmarks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from lakehouse.trajectories.formats import FORMATS
from lakehouse.trajectories.openhands_scores import Tally, compare
from lakehouse.trajectories.published import Finding, decimals_of, is_rounded, judge


@pytest.mark.parametrize(
    ("published", "exact", "least", "expected"),
    [
        (74.6, 74.6, 1, True), (65.5, 65.4545, 1, True), (8.5, 14.0, 1, False), (2.0, 1.996, 2, True),
        (2.0, 1.99, 2, False), (0.5596, 0.5597, 2, False), (18.8, 18.75, 1, True), (0.25, 0.25, 9, True),
    ],
)  # fmt: skip
def test_figure_holds_when_rounding_gives_it(published: float, exact: float, least: int, expected: bool) -> None:
    assert is_rounded(published, exact, least_decimals=least) is expected


def test_decimals_are_those_that_are_shown() -> None:
    assert [decimals_of(f, 1) for f in (74.6, 0.5596, 2.0, 7, 1e-7)] == [1, 4, 1, 1, 1]


def test_other_ways_to_count_are_named() -> None:
    of = ("m", "b", "score")
    assert judge(of, 50.0, 50.0, least_decimals=1).verdict == "holds"
    found = judge(of, 40.0, 50.0, least_decimals=1, otherwise=[(30.0, "x"), (40.0, "y")])
    assert (found.verdict, found.note) == ("holds otherwise", "y")
    assert judge(of, 40.0, 50.0, least_decimals=1).verdict == "contradicted"
    assert judge(of, 40.0, None, least_decimals=1).verdict == "cannot be recomputed"


def test_score_without_rows_cannot_be_recomputed() -> None:
    score = {"benchmark": "gaia", "metric": "accuracy", "score": 50.0, "cost_per_instance": 0.5}
    found = list(compare(score, Tally(), model="M", instances=165))
    assert [f.verdict for f in found] == ["cannot be recomputed", "cannot be recomputed"]


def findings(folder: Path, name: str) -> list[Finding]:
    of = FORMATS[name]
    assert of.check is not None
    names = sorted(str(p) for p in folder.rglob("*.json"))
    return list(of.check(of.plan(names), lambda n: Path(n).open("rb")))


def test_scores_of_the_openhands_index_that_its_rows_contradict(shared_data: Path) -> None:
    found = findings(shared_data / "agent_outcomes", "openhands_index")
    assert Counter(f.verdict for f in found) == {
        "holds": 61, "holds otherwise": 17, "contradicted": 36, "cannot be recomputed": 2,
    }  # fmt: skip
    wrong = [f for f in found if f.verdict == "contradicted"]
    assert [(f.model, f.benchmark, f.published, f.recomputed) for f in wrong if f.field == "score"] == [
        ("Nemotron-3-Nano", "swt-bench", 7.6, 0.0)
    ]
    costs = [f for f in wrong if f.field == "cost_per_instance"]
    assert len(costs) == 32
    assert sum(f.published > f.recomputed for f in costs if f.published and f.recomputed) == 26
    gaia = next(f for f in found if (f.model, f.benchmark, f.field) == ("Nemotron-3-Nano", "gaia", "score"))
    assert (gaia.published, gaia.recomputed) == (8.5, 14.0)
    assert gaia.note == "over 165 instances; 65 have no row and count as failed"


def test_figures_of_code_review_bench_that_its_lists_contradict(shared_data: Path) -> None:
    found = findings(shared_data / "reviews", "code_review_bench")
    assert Counter(f.verdict for f in found) == {"holds": 4_092, "contradicted": 47, "cannot be recomputed": 61}
    wrong = [f for f in found if f.verdict == "contradicted"]
    assert {f.field for f in wrong} == {"precision"}
    assert [(f.model, f.recomputed) for f in wrong if f.published == 2.0] == [("augment", 1.0)]
