"""Charts as PNG, drawn without a browser.

Belongs here: drawing a Vega-Lite document. Not here: what charts show (see lakehouse/drift/charts.py,
lakehouse/distillation/plots.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VEGA_LITE = "6.4"


def chart_png(chart: Mapping[str, Any], *, scale: float = 1.0) -> bytes:
    """Draw a chart; the same chart gives the same bytes.

    Args:
        chart: A Vega-Lite document of the version `VEGA_LITE`.
        scale: Pixels of the PNG for each of the document.
    """
    import vl_convert

    made: bytes = vl_convert.vegalite_to_png(dict(chart), vl_version=VEGA_LITE, scale=scale)
    return made
