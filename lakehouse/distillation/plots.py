"""Charts of a corpus as Vega-Lite: lengths of samples, verdicts that went in, sources.

Belongs here: what the charts show. Not here: drawing them (see lakehouse/adapters/distill_card.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.distillation.parameters import SPLITS

if TYPE_CHECKING:
    import numpy.typing as npt

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_BINS = 24
_WIDTH, _HEIGHT = 480, 200
_MOST_BARS = 20


def lengths_chart(tokens: npt.NDArray[np.int32], splits: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """How long samples are, in tokens, by split.

    Args:
        tokens: Of each sample.
        splits: Number of its split.
    """
    most = max(1, int(tokens.max(initial=0)))
    edges = np.linspace(0, -(-most // _BINS) * _BINS, _BINS + 1)
    values = [
        {"from": int(edges[number]), "to": int(edges[number + 1]), "split": split, "samples": int(count)}
        for place, split in enumerate(SPLITS)
        for number, count in enumerate(np.histogram(tokens[splits == place], bins=edges)[0])
        if count
    ]
    encoding = {
        "x": {
            "field": "from",
            "type": "quantitative",
            "bin": {"binned": True},
            "title": "tokens of a sample (estimate)",
        },
        "x2": {"field": "to"},
        "y": {"field": "samples", "type": "quantitative", "stack": "zero", "title": "samples"},
        "color": {"field": "split", "type": "nominal", "scale": {"domain": list(SPLITS)}},
    }
    return _chart("Lengths", values, encoding)


def counts_chart(title: str, what: str, counts: Mapping[str, int]) -> dict[str, Any]:
    """How many there are of each, the most first; what is beyond the longest twenty bars is one.

    Args:
        title: Of the chart.
        what: What is counted, as "runs".
        counts: By name.
    """
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ordered[:_MOST_BARS]
    rest = sum(count for _, count in ordered[_MOST_BARS:])
    if rest:
        shown.append((f"{len(ordered) - _MOST_BARS} others", rest))
    values = [{"name": name, what: count} for name, count in shown]
    encoding = {
        "y": {"field": "name", "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 240}},
        "x": {"field": what, "type": "quantitative", "title": what},
    }
    return _chart(title, values, encoding)


def _chart(title: str, values: Sequence[Mapping[str, Any]], encoding: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "$schema": SCHEMA,
        "title": title,
        "width": _WIDTH,
        "height": _HEIGHT,
        "background": "white",
        "data": {"values": list(values)},
        "mark": "bar",
        "encoding": dict(encoding),
    }
