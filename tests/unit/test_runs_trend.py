"""The share of accepted runs over time: what is counted, and how it is told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest

from lakehouse.adapters.chart_svg import chart_svg
from lakehouse_api.ui.chart_documents import NothingToDraw
from lakehouse_api.ui.runs_trend import trend_chart, trend_statement

BEGUN = datetime.fromisoformat("2026-03-01T09:00")
SCORES = ("rejected", "needs_human_review", "accepted", "accepted", "partially_accepted", "accepted")


def rows_of(gap: timedelta, *, where: str = "true") -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE scored (timestamp TIMESTAMP, score VARCHAR)")
        runs = [(BEGUN + number * gap, score) for number, score in enumerate(SCORES)]
        connection.executemany("INSERT INTO scored VALUES (?, ?)", runs)
        answer = connection.execute(trend_statement(where))
        names = [column[0] for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def test_runs_of_two_days_are_counted_by_the_hour_and_what_waits_for_a_person_is_not() -> None:
    rows = rows_of(timedelta(minutes=20))
    told = [(row["moment"], row["runs"], row["accepted"]) for row in rows]
    assert told == [("2026-03-01T10:00:00Z", 3, 2), ("2026-03-01T09:00:00Z", 2, 1)]
    chart, said = trend_chart(rows)
    assert said.endswith("by hour, 95 % intervals: 67 % of 3 runs, at first 50 % of 2 runs")
    assert chart_svg(chart).count("<svg") == 1


def test_runs_of_more_days_are_counted_by_the_day() -> None:
    rows = rows_of(timedelta(hours=20))
    assert {row["unit"] for row in rows} == {"day"}
    assert sum(row["runs"] for row in rows) == 5
    values = trend_chart(rows)[0]["data"]["values"]
    assert all(0 <= one["low"] <= one["share"] <= one["high"] <= 100 for one in values)


def test_nothing_decided_is_told() -> None:
    with pytest.raises(NothingToDraw, match="no run here is accepted or rejected yet"):
        trend_chart(rows_of(timedelta(hours=1), where="score = 'needs_human_review'"))
