"""Pathways on the terminal: traces found, one trace, its history, counts.

Belongs here: how documents of the API are shown. Not here: getting them (see pathway_commands.py).
"""

from __future__ import annotations

import json
from typing import Any

from rich.table import Table

from lakehouse.counted import counted
from lakehouse_cli.terminal import id_column, output_console, shown

_MAX_CONTENT = 120


def print_found(results: list[dict[str, Any]]) -> None:
    """Show traces, best first."""
    table = Table(id_column("trace"), "score", "updated", "tags", "content")
    for trace in results:
        state = " (retired)" if trace["retired"] else ""
        table.add_row(
            trace["uid"],
            f"{trace['score']:.4f}",
            _time(trace["updated_at"]) + state,
            shown(", ".join(trace["tags"])),
            shown(_short(trace["content"])),
        )
    output_console().print(table)


def print_trace(trace: dict[str, Any]) -> None:
    """Show one trace: what is known of it, then its content."""
    console = output_console()
    console.print(f"trace    {trace['uid']}", markup=False)
    console.print(f"tags     {', '.join(trace['tags']) or 'none'}", markup=False)
    console.print(f"created  {_time(trace['created_at'])}, updated {_time(trace['updated_at'])}", markup=False)
    if trace["predecessor_uid"] is not None:
        console.print(f"revises  {trace['predecessor_uid']}", markup=False)
    if trace["retired"]:
        console.print(f"retired  {trace['retired_reason']}", markup=False)
    if trace["links"] or trace["replay_count"]:
        console.print(f"came again {trace['links']} times as content, {trace['replay_count']} by its key", markup=False)
    console.print(f"\n{_whole(trace['content'])}", markup=False)


def print_history(answer: dict[str, Any]) -> None:
    """Show all that was said of a trace and what it revises, oldest first."""
    console = output_console()
    table = Table("when", id_column("trace"), "event", "by", "what")
    for change in answer["changes"]:
        said = change["note"] if change["content"] is None else _short(change["content"])
        table.add_row(
            _time(change["at"]), change["uid"], change["event"], shown(change["actor"]), shown(_short(said or ""))
        )
    console.print(table)
    if not answer["complete"]:
        reasons = {"cycle": "a trace comes again", "missing": "a predecessor is not there"}
        console.print(f"[dim]the way back ends early: {reasons[answer['stopped_by']]}[/]")
    if answer["changes_dropped"]:
        console.print(f"[dim]{counted(answer['changes_dropped'], 'older change', 'is')} in the table pathways[/]")


def print_stats(answer: dict[str, Any]) -> None:
    """Show the counts."""
    links = ", ".join(f"{count:,} {kind}" for kind, count in answer["links"].items())
    states = f"{answer['current']:,} current, {answer['revised']:,} revised, {answer['retired']:,} retired"
    console = output_console()
    console.print(f"traces  {answer['traces']:,}: {states}")
    console.print(
        f"adds    {answer['adds']:,}, of which linked: {links}; {counted(answer['replays'], 'replay')} of keys"
    )
    known, recalled = answer["duplicate_rate"], answer["recall_of_self_rate"]
    console.print(f"rates   {known:.1%} of adds were known already, {recalled:.1%} came from a search")


def _time(text: str) -> str:
    return text[:19].replace("T", " ")


def _whole(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False)


def _short(content: Any) -> str:
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= _MAX_CONTENT else f"{text[: _MAX_CONTENT - 1]}…"
