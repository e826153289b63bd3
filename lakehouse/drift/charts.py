"""Charts of a report as Vega-Lite: how large each change is against its floor, and what the kind adds.

Belongs here: what the charts show. Not here: drawing them (see lakehouse/adapters/charts.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.drift.report import DriftReport
from lakehouse.drift.rule_file import DriftRules, default_rules

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_WIDTH, _BAR, _MOST_BARS, _MOST_TIMES = 480, 18, 30, 10.0
_COLORS = {
    "stable": "#8da0b3", "drift": "#c0392b", "label_correction": "#d9a441", "notice": "#8e6bb0",
    "insufficient": "#d5d5d5",
}  # fmt: skip


def charts_of(report: DriftReport, rules: DriftRules | None = None) -> dict[str, dict[str, Any]]:
    """The charts of a report by name; none where nothing was compared."""
    charts: dict[str, dict[str, Any]] = {}
    effects = _effects(report, rules or default_rules())
    if effects:
        charts["effects"] = _effects_chart(f"Drift of {report.kind}, {report.day}", effects)
    if "confusion" in report.details:
        charts["confusion"] = _confusion_chart(report.details["confusion"], report.details["scores"])
    if report.details.get("series"):
        charts["series"] = _series_chart(report.details["series"])
    return charts


def _effects(report: DriftReport, rules: DriftRules) -> list[dict[str, Any]]:
    """The largest changes, each as a multiple of what makes it drift."""
    rows = [
        {
            "what": f"{one.name} {one.group}".strip(),
            "times": max(-_MOST_TIMES, min(_MOST_TIMES, one.effect / rules.effects[one.effect_name].floor)),
            "verdict": one.verdict,
        }
        for one in report.findings
        if one.effect is not None
    ]
    return sorted(rows, key=lambda row: (-abs(float(str(row["times"]))), str(row["what"])))[:_MOST_BARS]


def _effects_chart(title: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    bars = {
        "mark": "bar",
        "encoding": {
            "y": {"field": "what", "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 260}},
            "x": {
                "field": "times",
                "type": "quantitative",
                "scale": {"domain": [-_MOST_TIMES, _MOST_TIMES]},
                "title": "effect over its floor (1 and more may be drift; cut at 10)",
            },
            "color": {
                "field": "verdict",
                "type": "nominal",
                "scale": {"domain": list(_COLORS), "range": list(_COLORS.values())},
            },
        },
    }
    marks = {"mark": {"type": "rule", "strokeDash": [4, 3]}, "data": {"values": [{"x": -1}, {"x": 1}]},
             "encoding": {"x": {"field": "x", "type": "quantitative"}}}  # fmt: skip
    return _chart(title, rows, {"layer": [bars, marks]}, height=max(60, _BAR * len(rows)))


def _confusion_chart(confusion: Sequence[Sequence[int]], scores: Sequence[str]) -> dict[str, Any]:
    cells = [
        {"then": then, "now": now, "runs": int(count)}
        for then, row in zip(scores, confusion, strict=True)
        for now, count in zip(scores, row, strict=True)
    ]
    place = {
        "x": {
            "field": "now",
            "type": "nominal",
            "sort": None,
            "title": "by the rules of today",
            "axis": {"labelAngle": 0},
        },
        "y": {"field": "then", "type": "nominal", "sort": None, "title": "by the rules of the baseline"},
    }
    layers = [
        {
            "mark": "rect",
            "encoding": {
                **place,
                "color": {"field": "runs", "type": "quantitative", "scale": {"type": "symlog", "scheme": "blues"}},
            },
        },
        {"mark": "text", "encoding": {**place, "text": {"field": "runs", "type": "quantitative", "format": ","}}},
    ]
    return _chart("Verdicts of the same runs", cells, {"layer": layers}, height=200)


def _series_chart(series: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    points = [
        {"hour": hour, "value": value, "series": f"{one['name']} {one['group']}", "alarm": hour in one["alarms"]}
        for one in series[:6]
        for hour, value in zip(one["hours"], one["values"], strict=True)
    ]
    encoding = {
        "x": {"field": "hour", "type": "temporal", "title": None, "scale": {"type": "utc"}},
        "y": {"field": "value", "type": "quantitative", "title": None},
    }
    layers = [
        {"mark": {"type": "line", "strokeWidth": 1}, "encoding": encoding},
        {
            "mark": {"type": "point", "color": _COLORS["drift"], "filled": True, "size": 60},
            "transform": [{"filter": "datum.alarm"}],
            "encoding": encoding,
        },
    ]
    chart = _chart("By the hour; points are alarms", points, {}, height=0)
    del chart["height"], chart["width"]
    facet = {
        "row": {"field": "series", "type": "nominal", "title": None, "header": {"labelAngle": 0, "labelAlign": "left"}}
    }
    return {
        **chart,
        "facet": facet,
        "spec": {"width": _WIDTH, "height": 90, "layer": layers},
        "resolve": {"scale": {"y": "independent"}},
    }


def _chart(title: str, values: Sequence[Mapping[str, Any]], spec: Mapping[str, Any], *, height: int) -> dict[str, Any]:
    return {
        "$schema": SCHEMA,
        "title": title,
        "width": _WIDTH,
        "height": height,
        "background": "white",
        "data": {"values": list(values)},
        **spec,
    }
