"""What charts of pages show, as Vega-Lite documents.

Belongs here: marks, channels, types. Not here: drawing (see charts.py), colours (see lakehouse/adapters/chart_svg.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from lakehouse.errors import BadInput
from lakehouse_api.ui.formats import cell

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
MARKS = ("bar", "line", "point", "area")
_WIDTH, _HEIGHT = 560, 240
_MOST_BARS = 60
_TITLE_CHARACTERS = 60
_LEGEND_PIXELS = 280


class NothingToDraw(BadInput):
    """There is nothing to draw, which is no mistake of the user."""


def rows_chart(
    rows: Sequence[Mapping[str, Any]],
    types: Mapping[str, str],
    *,
    x: str,
    y: str,
    mark: str = "bar",
    colour: str | None = None,
) -> dict[str, Any]:
    """A chart of the rows of an answer.

    Args:
        rows: By column.
        types: Arrow's of each column.
        x: The column along.
        y: The column upwards.
        mark: One of `MARKS`.
        colour: The column that is told apart by colours.

    Raises:
        BadInput: The mark is none of them.
        NothingToDraw: No row has both values.
    """
    if mark not in MARKS:
        raise BadInput(f"mark must be one of {', '.join(MARKS)}, not {mark[:20]!r}", field="mark")
    # Columns are renamed, as their names may hold dots and brackets, which Vega reads as paths.
    names = {column: f"c{place}" for place, column in enumerate(dict.fromkeys(c for c in (x, y, colour) if c))}
    values = [{name: _drawable(row[column], types[column]) for column, name in names.items()} for row in rows]
    if not any(row[names[x]] is not None and row[names[y]] is not None for row in values):
        raise NothingToDraw(f"there is nothing to draw: no row has a value in both {cell(x)} and {cell(y)}")
    encoding: dict[str, Any] = {
        "x": {"field": names[x], "type": _kind(types[x]), "title": _title(x), "sort": None},
        "y": {"field": names[y], "type": _kind(types[y]), "title": _title(y)},
    }
    if mark == "bar" and encoding["x"]["type"] == "nominal" and len({row[names[x]] for row in values}) > _MOST_BARS:
        kept = list(dict.fromkeys(row[names[x]] for row in values))[:_MOST_BARS]
        values = [row for row in values if row[names[x]] in set(kept)]
    if colour is not None:
        encoding["color"] = {"field": names[colour], "type": "nominal", "title": _title(colour)}
    return chart(values, {"type": mark, "tooltip": None}, encoding)


def chart(
    values: Sequence[Mapping[str, Any]], mark: Mapping[str, Any], encoding: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    """A document of one view."""
    return {
        "$schema": SCHEMA, "width": _WIDTH, "height": _HEIGHT, "data": {"values": list(values)}, "mark": dict(mark),
        "encoding": dict(encoding), **more,
    }  # fmt: skip


def counts_chart(counts: Mapping[str, float], *, what: str) -> dict[str, Any]:
    """How many there are of each, the most first."""
    shown = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST_BARS]
    values = [{"name": cell(name), "count": count} for name, count in shown]
    encoding = {
        "y": {"field": "name", "type": "nominal", "sort": None, "title": None},
        "x": {"field": "count", "type": "quantitative", "title": what},
    }
    return {**chart(values, {"type": "bar"}, encoding), "height": max(60, 24 * len(values))}


def series_chart(
    points: Sequence[tuple[str, float, str]],
    *,
    what: str,
    groups: Sequence[str] = (),
) -> dict[str, Any]:
    """Values over time, a line for each name.

    Args:
        points: (time as ISO 8601, value, name).
        what: What the values are.
        groups: Of each point, where names come in several groups: a colour for a name, dashes for a group.

    Raises:
        NothingToDraw: There is no point; a time axis of none is drawn without end.
    """
    if not points:
        raise NothingToDraw(f"there is nothing to draw: no {what} is known yet")
    values: list[dict[str, Any]] = [{"at": at, "value": value, "name": cell(name)} for at, value, name in points]
    encoding = {
        "x": {"field": "at", "type": "temporal", "title": "time (UTC)", "scale": {"type": "utc"}},
        "y": {"field": "value", "type": "quantitative", "title": what},
        "color": {"field": "name", "type": "nominal", "title": None, "legend": {"labelLimit": _LEGEND_PIXELS}},
    }
    mark = {"type": "line", "interpolate": "step-after"}
    if len(set(groups)) < 2:
        return chart(values, mark | {"point": True}, encoding)
    for value, group in zip(values, groups, strict=True):
        value["group"] = cell(group)
    # A grey that stands off from both grounds: symbols of a legend without colours are black, and where points share
    # the legend of the dashes they have no line at all.
    legend = {"labelLimit": _LEGEND_PIXELS, "symbolType": "stroke", "symbolSize": 400, "symbolStrokeColor": "#7f7f7f"}
    dashes = {"strokeDash": {"field": "group", "type": "nominal", "title": None, "legend": legend}}
    dots = {"mark": {"type": "point", "filled": True, "opacity": 1}, "encoding": encoding}
    document = chart(values, mark, encoding | dashes)
    lines = {"mark": document.pop("mark"), "encoding": document.pop("encoding")}
    return {**document, "layer": [lines, dots]}


def _title(name: str) -> str:
    """The name of a column along an axis: a longer one would push the chart out of its picture."""
    return name if len(name) <= _TITLE_CHARACTERS else f"{name[:_TITLE_CHARACTERS]}…"


def _drawable(value: Any, arrow: str) -> Any:
    plain = _plain(value)
    is_endless = isinstance(plain, float) and not math.isfinite(plain)
    # A time beyond any calendar comes as text, which no axis of times has a place for.
    is_odd = _kind(arrow) == "temporal" and isinstance(value, str)
    return None if is_endless or is_odd else plain


def _kind(arrow: str) -> str:
    if arrow.startswith(("int", "uint", "float", "double", "decimal", "halffloat")):
        return "quantitative"
    return "temporal" if arrow.startswith(("timestamp", "date")) else "nominal"


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bool | int | float) or value is None:
        return value
    return cell(value)
