"""What benches are made of: ratios and the page they are printed on, the weight of texts, matches of findings."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import BadInput

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from _findings import match
from _page import with_output
from _ratios import Ratio, better_of, read_ratios, regressions
from _text_weight import Judged, learn_weight

BENCH = Path(__file__).resolve().parents[2] / "bench"

LINES = (
    "PASS  time over bare DuckDB: 1.98x (limit 2x)",
    "PASS  QPS over Chroma's: 6.18x (limit >= 5x)",
    "PASS  recall@10: 0.99 (limit >= 0.98)",
    "PASS  QPS under a 1 % filter: 4.62e+03 (limit >= 3000)",
    "PASS  one cached search, p50: 0.262 ms (limit <= 2 ms)",
    "PASS  recall@10: 0.97 (limit >= 0.98)",
    "something else: 3x",
    "RATIO  lines/s over bare groups': 0.14x (more is better)",
    "RATIO  search, p50 over bare faiss's: 1.2x (less is better)",
)


def test_ratios_are_read_of_what_benches_print_and_nothing_absolute() -> None:
    assert {name: ratio.value for name, ratio in read_ratios("b", LINES).items()} == {
        "b: time over bare DuckDB": 1.98,
        "b: QPS over Chroma's": 6.18,
        "b: recall@10": 0.99,
        "b: recall@10 #2": 0.97,
        "b: lines/s over bare groups'": 0.14,
        "b: search, p50 over bare faiss's": 1.2,
    }


def test_more_than_a_fifth_worse_is_a_regression_in_either_direction_and_better_is_none() -> None:
    now = read_ratios("b", LINES)
    before = {"b: time over bare DuckDB": 1.6, "b: QPS over Chroma's": 8.0, "b: recall@10": 0.5}
    found = {one.name: round(one.worse_by, 2) for one in regressions(before, now, ["b"])}
    assert found == {"b: time over bare DuckDB": 0.24, "b: QPS over Chroma's": 0.23}
    assert regressions({"b: time over bare DuckDB": 1.7, "b: QPS over Chroma's": 7.0}, now, ["b"]) == []
    without_limit = {"b: lines/s over bare groups'": 0.2, "b: search, p50 over bare faiss's": 0.9}
    assert {one.name for one in regressions(without_limit, now, ["b"])} == set(without_limit)


def test_of_two_measurements_the_better_one_counts_in_either_direction() -> None:
    one = {"b: more": Ratio(5.0, True), "b: less": Ratio(1.4, False), "b: once": Ratio(1.0, True)}
    other = {"b: more": Ratio(7.0, True), "b: less": Ratio(1.9, False), "b: new": Ratio(2.0, True)}
    best = {"b: more": 7.0, "b: less": 1.4, "b: once": 1.0, "b: new": 2.0}
    assert {name: ratio.value for name, ratio in better_of(one, other).items()} == best
    assert {name: ratio.value for name, ratio in better_of(other, one).items()} == best


def test_ratio_that_is_not_measured_any_more_is_told_where_its_bench_ran() -> None:
    (gone,) = regressions({"b: gone": 1.0, "other: gone": 1.0}, {}, ["b"])
    assert (gone.now, gone.words) == (None, "GONE   b: gone: 1 before, not measured now")


def test_committed_ratios_are_of_benches_that_there_are() -> None:
    committed = json.loads((BENCH / "baseline.json").read_text())
    assert committed
    assert {name.partition(":")[0] for name in committed} <= {path.stem for path in BENCH.glob("[a-z]*.py")}


PAGE = """# Benchmarks

<!-- printed by bench/peers.py -->
```
old 1
```

Words.

```
of another
```
"""


def test_what_a_bench_printed_takes_the_place_of_its_block_and_of_nothing_else() -> None:
    page = with_output(PAGE, "peers", ["new \\1  ", "", "PASS  x"])
    assert page == PAGE.replace("old 1", "new \\1\n\nPASS  x")
    assert with_output(page, "other", ["new"]) == page


@pytest.mark.parametrize(("page", "line"), [(PAGE, "```"), (PAGE.replace("```\n", ""), "new")])
def test_block_that_would_not_be_one_is_refused(page: str, line: str) -> None:
    with pytest.raises(BadInput, match="three backticks"):
        with_output(page, "peers", [line])


def test_page_of_benchmarks_has_the_block_that_make_bench_writes() -> None:
    page = Path("docs/benchmarks.md").read_text()
    assert "measured now" in with_output(page, "peers", ["measured now"])


def judged(right: int, *, by_text: bool) -> Judged:
    rng = np.random.default_rng(right)
    good, noise = np.linspace(1, 0.1, 20, dtype=np.float32), rng.random(20, np.float32)
    order = np.roll(good, right)
    similarity, text = (noise, order) if by_text else (order, noise)
    return Judged(similarity, text, np.arange(20) == right)


@pytest.mark.parametrize(("by_text", "expected"), [(True, 1.0), (False, 0.0)])
def test_weight_goes_to_what_outcomes_say_is_right(by_text: bool, expected: float) -> None:
    assert learn_weight([judged(n, by_text=by_text) for n in range(20)]) == pytest.approx(expected, abs=0.35)


def test_outcomes_without_a_right_candidate_teach_nothing() -> None:
    with pytest.raises(BadInput, match="there are none"):
        learn_weight([Judged(np.float32([1]), np.float32([1]), np.array([False]))])


@given(st.lists(st.integers(0, 9), max_size=8), st.lists(st.integers(0, 9), max_size=8))
def test_shares_are_shares(found: list[int], expected: list[int]) -> None:
    made = match(found, expected, lambda one, other: one == other)
    assert 0 <= made.precision <= 1
    assert 0 <= made.recall <= 1
    assert (made.precision > 0) == (made.recall > 0)
