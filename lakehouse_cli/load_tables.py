"""The report of a load: as a table, and as a document for `--json`.

Belongs here: how it is shown. Not here: counting (see lakehouse/load/tally.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.adapters.load_driver import Played
from lakehouse.adapters.process_meter import Metered
from lakehouse.counted import counted
from lakehouse.load.mix import RequestKind
from lakehouse.load.scenarios import CacheUse, Stage
from lakehouse.load.tally import QUANTILES, Tally, quantile
from lakehouse_cli.load_processes import API, rss_of, to_documents

_MIB = 1 << 20
_BUSY_SHARE = 0.9
_LEAST_SHOWN_S = 0.1


@dataclass(frozen=True, slots=True)
class Report:
    """A run and how it was made.

    `processes` are those that were looked at, the generator among them; `forgotten` is how many of the playbook entries
    that were recorded were deleted again.
    """

    url: str
    options: Mapping[str, Any]
    played: Played
    stage: Stage
    processes: Sequence[Metered]
    metering_cpu_s: float
    forgotten: int

    def to_document(self) -> dict[str, Any]:
        """As `--json` prints it; times in milliseconds."""
        tally, seconds = self.played.tally, max(self.played.seconds, 1e-9)
        lag_ms = quantile(sorted(tally.start_lags_ms), 0.99)
        rss_bytes = rss_of(self.processes, API)
        lines: dict[str, dict[str, Any]] = {"scenario": {}, "request": {}}
        for kind, name, line in tally.lines():
            lines[kind][name] = line.to_document()
        return {
            "url": self.url,
            **self.options,
            "seconds": round(self.played.seconds, 3),
            "scenario_count": tally.scenario_count,
            "request_count": tally.request_count,
            "scenarios_per_s": round(tally.scenario_count / seconds, 1),
            "requests_per_s": round(tally.request_count / seconds, 1),
            "failures": tally.failures,
            "never_begun": tally.never_begun,
            "distinct_queries": distinct_queries(tally, self.stage),
            "scenarios": lines["scenario"],
            "requests": lines["request"],
            "caches": {kind: _cache_rates(use) for kind, use in self.stage.caches.items()},
            "server_rss_bytes": None if rss_bytes is None else dict(zip(_MOMENTS, rss_bytes, strict=True)),
            "generator": {
                "cpu_share": round(self.played.cpu_share, 3),
                "start_lag_p99_ms": None if lag_ms is None else round(lag_ms, 3),
            },
            "playbooks": {"recorded": len(self.stage.recorded), "forgotten": self.forgotten},
            "timeline": tally.timeline(),
            "processes": to_documents(self.processes),
            "metering_cpu_s": round(self.metering_cpu_s, 4),
        }


def distinct_queries(tally: Tally, stage: Stage) -> int:
    """How many different texts were searched: each cold one once, and those that are asked again and again."""
    cold = tally.requests.get(RequestKind.SEARCH_COLD)
    return (0 if cold is None else cold.count) + len(stage.asked_again)


def _cache_rates(use: CacheUse) -> dict[str, float]:
    told = max(use.told, 1)
    return {
        "told": use.told,
        "answers_cached_share": round(use.answers / told, 4),
        "embeddings_cached_share": round(use.embeddings / told, 4),
    }


_MOMENTS = ("before", "after")


def print_report(document: Mapping[str, Any]) -> None:
    """Show a report's document."""
    from rich.table import Table

    from lakehouse_cli.terminal import output_console, shown

    console = output_console()
    for title, lines in (("scenario", document["scenarios"]), ("request", document["requests"])):
        table = Table(title, "count", "failed", *(name.removesuffix("_ms") for name in QUANTILES), box=None,
                      pad_edge=False, header_style="bold")  # fmt: skip
        for column in table.columns[1:]:
            column.justify = "right"
        for name, line in lines.items():
            failed = f"[red]{line['failures']:,}[/]" if line["failures"] else "0"
            table.add_row(shown(name), f"{line['count']:,}", failed, *(_ms(line[key]) for key in QUANTILES))
        console.print(table)
        console.print()
    for name, line in document["requests"].items():
        for reason in line["reasons"]:
            first = f" (first: {reason['first']})" if reason["first"] else ""
            console.print(f"[red]{reason['count']:,} x[/] {shown(name)}: {shown(reason['reason'] + first)}")
    for text in _notes(document):
        console.print(shown(text, keeps_lines=True))


def _notes(document: Mapping[str, Any]) -> list[str]:
    rate = document["rate"]
    pace = (
        "as fast as it answers" if rate is None else f"paced at {rate:g} scenarios/s, latencies from the intended start"
    )
    notes = [
        (
            f"{document['scenarios_per_s']:,.0f} scenarios/s, {document['requests_per_s']:,.0f} requests/s,"
            f" {counted(document['failures'], 'failure')} in {document['seconds']:,.1f} s; times in ms"
        ),
        f"{counted(document['concurrency'], 'connection')}, {pace}",
        f"searches by {document['mode'] or 'the config'}; seed {document['seed']}",
    ]
    if document["never_begun"]:
        notes.append(
            f"{counted(document['never_begun'], 'scenario', 'was')} never begun: the service did not keep the pace"
        )
    distinct = counted(document["distinct_queries"], "distinct query")
    notes.append(f"{distinct}; answers from caches: {_cached(document)}")
    if document["server_rss_bytes"] is not None:
        before, after = (document["server_rss_bytes"][moment] / _MIB for moment in _MOMENTS)
        notes.append(f"the server's memory: {before:,.0f} MiB before, {after:,.0f} MiB after")
    else:
        notes.append(
            "no processor time and memory of the service: this installation does not run it (--process api=PID looks at"
            " one of this machine)"
        )
    notes += _processes(document)
    share, lag_ms = document["generator"]["cpu_share"], document["generator"]["start_lag_p99_ms"]
    lag = "" if lag_ms is None else f", its own delay of starts {lag_ms:.2f} ms (p99)"
    bound = "; it may be the limit, not the service" if share > _BUSY_SHARE else ""
    notes.append(f"this generator took {share:.0%} of a core{lag}{bound}")
    kept = document["playbooks"]["recorded"] - document["playbooks"]["forgotten"]
    notes.append(f"playbook entries made: {document['playbooks']['recorded']:,}, of which {kept:,} stay")
    return notes


def _cached(document: Mapping[str, Any]) -> str:
    told = [f"{use['answers_cached_share']:.0%} of '{kind}'" for kind, use in document["caches"].items() if use["told"]]
    return ", ".join(told) or "the service does not say"


def _processes(document: Mapping[str, Any]) -> list[str]:
    """A line for each process that took anything: its processor time, by scenario too, and its most memory."""
    count = max(document["scenario_count"], 1)
    return [
        f"{one['name']}{', child' if one['is_child'] else ''} (pid {one['pid']}): {one['cpu_s']:.1f} s of a core,"
        f" {one['cpu_s'] / count * 1000:.3f} ms a scenario, at most {one['rss_max_bytes'] / _MIB:,.0f} MiB"
        for one in document["processes"]
        if one["cpu_s"] >= _LEAST_SHOWN_S or not one["is_child"]
    ]


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"
