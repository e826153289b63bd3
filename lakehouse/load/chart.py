"""The chart of a load over time: rate, latency, processor and memory, as Vega-Lite.

Belongs here: what it shows. Not here: drawing it (see lakehouse/adapters/charts.py), sampling (see
lakehouse/adapters/process_meter.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.counted import counted

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_WIDTH, _HEIGHT = 640, 130
_MIB = 1 << 20
_Y_OF = {"rate": "scenarios/s", "latency": "ms of a scenario", "cpu": "% of a core", "rss": "MiB"}


def load_chart(document: Mapping[str, Any]) -> dict[str, Any]:
    """The chart of a load's document, as `lakehouse load --json` prints it.

    Args:
        document: With `timeline`, and `processes` where there were any to look at.
    """
    # The last second is a part of one, in which fewer scenarios end.
    timeline = document["timeline"][:-1] or document["timeline"]
    panels = [_panel("rate", _rates(timeline)), _panel("latency", _latencies(timeline))]
    if processes := document["processes"]:
        panels += [
            _panel("cpu", _by_group(processes, "cpu_share", 100)),
            _panel("rss", _by_group(processes, "rss_bytes", 1 / _MIB)),
        ]
    pace = "as fast as it answers" if document["rate"] is None else f"{document['rate']:g} scenarios/s asked for"
    return {
        "$schema": _SCHEMA,
        "title": f"{document['scenarios_per_s']:,.0f} scenarios/s, {counted(document['failures'], 'failure')}, {pace}",
        "background": "white",
        "vconcat": panels,
        "resolve": {"scale": {"color": "independent"}},
    }


def _panel(name: str, values: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "data": {"values": values},
        "mark": {"type": "line", "clip": True},
        "encoding": {
            "x": {"field": "s", "type": "quantitative", "title": "seconds"},
            "y": {"field": "value", "type": "quantitative", "title": _Y_OF[name]},
            "color": {"field": "of", "type": "nominal", "title": None, "sort": None},
        },
    }


def _rates(timeline: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    names = {"scenarios": "ended", "failures": "failed"}
    return [{"s": one["second"], "value": one[key], "of": name} for key, name in names.items() for one in timeline]


def _latencies(timeline: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    names = {"p50_ms": "p50", "p99_ms": "p99"}
    return [
        {"s": one["second"], "value": one[key], "of": name}
        for key, name in names.items()
        for one in timeline
        if one[key] is not None
    ]


def _by_group(processes: Sequence[Mapping[str, Any]], key: str, factor: float) -> list[dict[str, Any]]:
    """Children of a process are one line: there may be many, and each for itself says little."""
    sums: dict[tuple[str, float], float] = defaultdict(float)
    for process in processes:
        name = f"{process['name']}, children" if process["is_child"] else process["name"]
        for sample in process["samples"]:
            sums[name, sample["at_s"]] += sample[key] * factor
    return [{"s": second, "value": round(value, 2), "of": name} for (name, second), value in sorted(sums.items())]
