"""The tally: quantiles, counts and the reasons of failures."""

from __future__ import annotations

import pytest

from lakehouse.load.mix import RequestKind, ScenarioKind
from lakehouse.load.steps import Wrong
from lakehouse.load.tally import Line, Tally, quantile


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([3.0], 0.5, 3.0),
        ([3.0], 0.99, 3.0),
        ([1.0, 2.0], 0.5, 1.0),
        ([1.0, 2.0, 3.0], 0.5, 2.0),
        ([float(n) for n in range(1, 101)], 0.99, 99.0),
        ([float(n) for n in range(1, 101)], 0.95, 95.0),
        ([float(n) for n in range(1, 101)], 1.0, 100.0),
        ([float(n) for n in range(1, 1001)], 0.99, 990.0),
    ],
)
def test_quantile_is_the_nearest_rank(values: list[float], share: float, expected: float | None) -> None:
    assert quantile(values, share) == expected


def test_line_of_nothing_has_no_times() -> None:
    assert Line().to_document() == {
        "count": 0, "failures": 0, "p50_ms": None, "p95_ms": None, "p99_ms": None, "max_ms": None, "reasons": [],
    }  # fmt: skip


def test_failures_count_for_the_scenario_and_the_request_with_the_first_of_each_reason() -> None:
    tally = Tally()
    for number in range(10):
        tally.answered(RequestKind.SEARCH, number + 1.0)
        if number % 2:
            tally.failed(ScenarioKind.EXCLUDE, RequestKind.SEARCH, Wrong("empty", f"query {number}"))
        tally.played(ScenarioKind.EXCLUDE, number + 2.0, at_s=number / 4, is_failed=number % 2 == 1)
    tally.unanswered(RequestKind.RECORD)
    tally.failed(ScenarioKind.RECORD_AGAIN, RequestKind.RECORD, Wrong("no answer", "it broke"))
    tally.played(ScenarioKind.RECORD_AGAIN, 1.0, at_s=3.9, is_failed=True)
    tally.never_begun += 2
    assert (tally.scenario_count, tally.request_count, tally.failures) == (11, 11, 8)
    documents = {name: line.to_document() for _, name, line in tally.lines()}
    assert list(documents) == [
        ScenarioKind.EXCLUDE, ScenarioKind.RECORD_AGAIN, RequestKind.SEARCH, RequestKind.RECORD,
    ]  # fmt: skip
    assert documents[RequestKind.SEARCH] == {
        "count": 10, "failures": 5, "p50_ms": 5.0, "p95_ms": 10.0, "p99_ms": 10.0, "max_ms": 10.0,
        "reasons": [{"reason": "empty", "count": 5, "first": "query 1"}],
    }  # fmt: skip
    assert documents[RequestKind.RECORD]["p50_ms"] is None
    timeline = tally.timeline()
    assert [(one["second"], one["scenarios"], one["failures"]) for one in timeline] == [
        (0, 4, 2), (1, 4, 2), (2, 2, 1), (3, 1, 1),
    ]  # fmt: skip
    assert (timeline[0]["p50_ms"], timeline[0]["p99_ms"]) == (3.0, 5.0)


def test_detail_of_an_answer_cannot_write_to_the_terminal() -> None:
    wrong = Wrong("status 500, expected 200", b"\x1b[2J\xff" + b"x" * 10_000)
    assert "\x1b" not in wrong.detail
    assert len(wrong.detail) <= 300
