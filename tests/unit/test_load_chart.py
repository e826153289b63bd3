"""The chart of a load: panels for what was looked at, children as one line, drawn in both forms."""

from __future__ import annotations

from typing import Any

import pytest

from lakehouse.adapters.chart_svg import chart_svg
from lakehouse.adapters.charts import chart_png
from lakehouse.load.chart import load_chart


def document(**more: Any) -> dict[str, Any]:
    def process(name: str, rss_bytes: int, *, is_child: bool = False) -> dict[str, Any]:
        samples = [{"at_s": at, "cpu_share": 0.5, "rss_bytes": rss_bytes} for at in (0.0, 1.0, 1.2)]
        return {"name": name, "is_child": is_child, "samples": samples}

    timeline = [{"second": n, "scenarios": 100 - n, "failures": n, "p50_ms": 1.5, "p99_ms": 9.0} for n in range(3)]
    processes = [process("api", 8 << 20), *(process("api", 1 << 20, is_child=True) for _ in range(2))]
    usual = {"rate": None, "scenarios_per_s": 99.0, "failures": 3, "timeline": timeline, "processes": processes}
    return usual | more


def test_panels_show_rate_latency_processor_and_memory() -> None:
    rate, latency, cpu, rss = (panel["data"]["values"] for panel in load_chart(document())["vconcat"])
    assert [(one["s"], one["value"]) for one in rate if one["of"] == "ended"] == [(0, 100), (1, 99)]
    assert {one["of"] for one in latency} == {"p50", "p99"}
    assert {(one["of"], one["value"]) for one in cpu} == {("api", 50), ("api, children", 100)}
    assert [(one["s"], one["value"]) for one in rss if one["of"] == "api, children"] == [(0, 2), (1, 2), (1.2, 2)]


def test_service_without_processes_has_no_panel_of_them_and_silent_seconds_no_latency() -> None:
    silent = {"second": 0, "scenarios": 0, "failures": 0, "p50_ms": None, "p99_ms": None}
    chart = load_chart(document(processes=[], timeline=[silent], rate=450.0))
    assert [len(panel["data"]["values"]) for panel in chart["vconcat"]] == [2, 0]
    assert chart["title"].endswith("450 scenarios/s asked for")


@pytest.mark.parametrize("processes", [[], document()["processes"]])
def test_chart_is_drawn_in_both_forms(processes: list[Any]) -> None:
    chart = load_chart(document(processes=processes))
    assert "ms of a scenario" in chart_svg(chart)
    assert chart_png(chart).startswith(b"\x89PNG")
