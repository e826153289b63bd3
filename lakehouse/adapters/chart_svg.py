"""Charts for pages: SVG that takes its ink from the page around it, so that it reads in light and in dark.

Belongs here: drawing a Vega-Lite document, and how charts of pages look. Not here: what charts show (see
lakehouse_api/ui/chart_documents.py), PNG for reports (see charts.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.adapters.charts import VEGA_LITE

_INK = "currentColor"
# Eight hues that keep a contrast of 3:1 to white and to near-black alike.
COLOURS = ("#2f7ed8", "#c2571a", "#2e9462", "#a855c7", "#b0851a", "#d1496b", "#1f93a8", "#7d7f88")
_AXIS = {
    "labelColor": _INK, "titleColor": _INK, "gridColor": _INK, "gridOpacity": 0.15, "domainColor": _INK,
    "tickColor": _INK, "labelFontSize": 12, "titleFontSize": 12, "labelLimit": 220,
}  # fmt: skip
_LOOK = {
    "background": None,
    # Text is measured with another font than the browser's, in which it may be wider.
    "padding": {"left": 20, "right": 44, "top": 6, "bottom": 6},
    "axis": _AXIS,
    "legend": {"labelColor": _INK, "titleColor": _INK, "labelFontSize": 12, "titleFontSize": 12},
    "title": {"color": _INK, "subtitleColor": _INK},
    "header": {"labelColor": _INK, "titleColor": _INK},
    "view": {"stroke": None},
    "range": {"category": list(COLOURS)},
    "bar": {"color": COLOURS[0]},
    "line": {"color": COLOURS[0]},
    "point": {"color": COLOURS[0]},
    "rule": {"color": _INK},
    "text": {"color": _INK},
}


def chart_svg(chart: Mapping[str, Any]) -> str:
    """Draw a chart as an SVG element; text of the data is escaped in it.

    Args:
        chart: A Vega-Lite document, version 6.
    """
    import vl_convert

    made: str = vl_convert.vegalite_to_svg({**chart, "background": None}, vl_version=VEGA_LITE, config=_LOOK)
    return made
