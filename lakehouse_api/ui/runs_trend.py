"""The share of accepted runs over time: whether answers get better.

Belongs here: what is counted, its interval, the chart. Not here: which runs (see runs_page.py), scores (see
lakehouse/scoring).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lakehouse.counted import counted
from lakehouse.drift.scorer import lower_end
from lakehouse_api.ui.chart_documents import NothingToDraw, chart

_MOST_POINTS = 400
_DECIDED = "score IN ('accepted', 'partially_accepted', 'rejected')"


def trend_statement(where: str) -> str:
    """Decided runs by the hour where they are of two days at the most, else by the day.

    Args:
        where: The condition of the filters.
    """
    return (
        f"WITH decided AS (SELECT timestamp, score FROM scored WHERE {where} AND {_DECIDED}), width AS (SELECT"
        " CASE WHEN max(timestamp) - min(timestamp) <= INTERVAL 2 DAYS THEN 'hour' ELSE 'day' END AS unit FROM decided)"
        " SELECT strftime(date_trunc(unit, timestamp), '%Y-%m-%dT%H:%M:%SZ') AS moment, any_value(unit) AS unit,"
        " count(*) AS runs, count(*) FILTER (score = 'accepted') AS accepted FROM decided, width GROUP BY ALL"
        f" ORDER BY moment DESC LIMIT {_MOST_POINTS}"
    )


def trend_chart(rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], str]:
    """The chart, and what it shows in words.

    Args:
        rows: As the statement gives them, the newest first.

    Raises:
        NothingToDraw: No run is decided.
    """
    if not rows:
        raise NothingToDraw("there is nothing to draw: no run here is accepted or rejected yet")
    points = list(_points(rows))
    x = {"field": "at", "type": "temporal", "title": "time (UTC)", "scale": {"type": "utc"}}
    y = {"type": "quantitative", "title": "accepted, %", "scale": {"domain": [0, 100]}}
    layers = [
        {
            "mark": {"type": "rule", "opacity": 0.5},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {"mark": {"type": "line", "point": True}, "encoding": {"x": x, "y": {**y, "field": "share"}}},
    ]
    document = chart(points, {"type": "line"}, {})
    del document["mark"], document["encoding"]
    last, first = points[0], points[-1]
    said = f"accepted of the runs that are decided, by {rows[0]['unit']}, 95 % intervals: {_told(last)}"
    return {**document, "layer": layers}, said if last is first else f"{said}, at first {_told(first)}"


def _points(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        runs, accepted = int(row["runs"]), int(row["accepted"])
        yield {
            "at": row["moment"], "runs": runs, "share": 100 * accepted / runs,
            "low": 100 * lower_end(accepted, runs), "high": 100 * (1 - lower_end(runs - accepted, runs)),
        }  # fmt: skip


def _told(point: Mapping[str, Any]) -> str:
    return f"{point['share']:.0f} % of {counted(point['runs'], 'run')}"
