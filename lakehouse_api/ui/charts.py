"""Charts in answers: SVG within a page, PNG for reports.

Belongs here: drawing in a thread, one at a time, and the markup around. Not here: what charts show (see
chart_documents.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from fastapi import Request
from starlette.responses import Response

from lakehouse.adapters.chart_svg import chart_svg
from lakehouse.adapters.charts import chart_png
from lakehouse_api.ui.rendering import HEADERS, render_page

if TYPE_CHECKING:
    from lakehouse_api.ui.site import Site


async def chart_answer(request: Request, site: Site, chart: Mapping[str, Any], *, said: str, png: bool) -> Response:
    """A chart as a part of a page, or as a picture.

    Args:
        request: Of the chart; the same address with `png=true` gives the picture.
        site: Of the pens.
        chart: A Vega-Lite document.
        said: What it shows, for who cannot see it.
        png: The picture.
    """
    if png:
        picture = await anyio.to_thread.run_sync(chart_png, {"background": "white", **chart}, limiter=site.pens)
        return Response(
            picture, media_type="image/png",
            headers={**HEADERS, "Content-Disposition": 'inline; filename="chart.png"'},
        )  # fmt: skip
    drawn = await anyio.to_thread.run_sync(chart_svg, chart, limiter=site.pens)
    address = f"{request.scope.get('root_path', '')}{request.url.path.removeprefix(request.scope.get('root_path', ''))}"
    query = [*request.query_params.multi_items(), ("png", "true")]
    return render_page(request.scope, "_chart.html", svg=drawn, said=said, picture=address, query=query)
