"""The report of a load: as a table, and as a document for `--json`.

Belongs here: how it is shown. Not here: counting (see lakehouse/load/tally.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lakehouse.adapters.load_driver import Played
from lakehouse.load.tally import QUANTILES, quantile

_MIB = 1 << 20
_BUSY_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Report:
    """A run and how it was made.

    `rss_bytes` is the server's memory before and after, None where the server is not on this machine; `forgotten` is
    how many of the `recorded` playbook entries were deleted again.
    """

    url: str
    options: Mapping[str, Any]
    played: Played
    rss_bytes: tuple[int, int] | None
    recorded: int
    forgotten: int

    def to_document(self) -> dict[str, Any]:
        """As `--json` prints it; times in milliseconds."""
        tally, seconds = self.played.tally, max(self.played.seconds, 1e-9)
        lag_ms = quantile(sorted(tally.start_lags_ms), 0.99)
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
            "scenarios": lines["scenario"],
            "requests": lines["request"],
            "server_rss_bytes": None if self.rss_bytes is None else dict(zip(_MOMENTS, self.rss_bytes, strict=True)),
            "generator": {
                "cpu_share": round(self.played.cpu_share, 3),
                "start_lag_p99_ms": None if lag_ms is None else round(lag_ms, 3),
            },
            "playbooks": {"recorded": self.recorded, "forgotten": self.forgotten},
        }


_MOMENTS = ("before", "after")


def print_report(document: Mapping[str, Any]) -> None:
    """Show a report's document."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    for title, lines in (("scenario", document["scenarios"]), ("request", document["requests"])):
        table = Table(title, "count", "failed", *(name.removesuffix("_ms") for name in QUANTILES), box=None,
                      pad_edge=False, header_style="bold")  # fmt: skip
        for column in table.columns[1:]:
            column.justify = "right"
        for name, line in lines.items():
            failed = f"[red]{line['failures']:,}[/]" if line["failures"] else "0"
            table.add_row(escape(name), f"{line['count']:,}", failed, *(_ms(line[key]) for key in QUANTILES))
        console.print(table)
        console.print()
    for name, line in document["requests"].items():
        for reason in line["reasons"]:
            first = f" (first: {reason['first']})" if reason["first"] else ""
            console.print(f"[red]{reason['count']:,} x[/] {escape(name)}: {escape(reason['reason'] + first)}")
    for text in _notes(document):
        console.print(escape(text))


def _notes(document: Mapping[str, Any]) -> list[str]:
    rate = document["rate"]
    pace = (
        "as fast as it answers" if rate is None else f"paced at {rate:g} scenarios/s, latencies from the intended start"
    )
    notes = [
        (
            f"{document['scenarios_per_s']:,.0f} scenarios/s, {document['requests_per_s']:,.0f} requests/s,"
            f" {document['failures']:,} failures in {document['seconds']:,.1f} s; times in ms"
        ),
        f"{document['concurrency']} connections, {pace}",
        f"searches by {document['mode'] or 'the config'}; seed {document['seed']}",
    ]
    if document["never_begun"]:
        notes.append(f"{document['never_begun']:,} scenarios were never begun: the service did not keep the pace")
    if document["server_rss_bytes"] is not None:
        before, after = (document["server_rss_bytes"][moment] / _MIB for moment in _MOMENTS)
        notes.append(f"the server's memory: {before:,.0f} MiB before, {after:,.0f} MiB after")
    share, lag_ms = document["generator"]["cpu_share"], document["generator"]["start_lag_p99_ms"]
    lag = "" if lag_ms is None else f", its own delay of starts {lag_ms:.2f} ms (p99)"
    bound = "; it may be the limit, not the service" if share > _BUSY_SHARE else ""
    notes.append(f"this generator took {share:.0%} of a core{lag}{bound}")
    kept = document["playbooks"]["recorded"] - document["playbooks"]["forgotten"]
    notes.append(f"playbook entries made: {document['playbooks']['recorded']:,}, of which {kept:,} stay")
    return notes


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"
