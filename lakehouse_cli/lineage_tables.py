"""Lineage on the terminal: the samples asked for, then run by run from the raw line up.

Belongs here: how the API's document is shown. Not here: getting it (see lineage_commands.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

_MOST_SAMPLES = 20
_HEX = 12


def print_lineage(found: dict[str, Any]) -> None:
    """Show an answer."""
    typer.echo(f"{found['kind']} {found['id']}: {'sound' if found['is_sound'] else 'NOT SOUND'}")
    for sample in found["samples"]:
        typer.echo(f"  {_sample(sample)}, made of line {sample['sha256'][:_HEX]} of {sample['run_id']}")
    for line in found["lines"]:
        typer.echo(f"  {_line(line)}")
    for run in found["runs"]:
        for text in _run(run):
            typer.echo(text)


def _run(run: dict[str, Any]) -> Iterator[str]:
    yield f"run {run['run_id']}"
    for one in run["retractions"]:
        of = "" if one["kind"] == "run" else ", for a subject that occurs in it"
        yield f"  RETRACTED {_time(one['at'])} by {one['by']}{of}: {one['reason']}"
    for line in run["lines"]:
        yield f"  line     {_line(line)}"
    for score in run["scores"]:
        yield f"  score    {score['score']} by {score['rule']} ({score['rules_version']}) on {score['dt']}"
    for sample in run["samples"][:_MOST_SAMPLES]:
        yield f"  sample   {sample['sample_id']} in {_sample(sample)}"
    more = len(run["samples"]) - _MOST_SAMPLES
    if more > 0:
        yield f"  sample   {more:,} more{' and others' if run['is_truncated'] else ''}; --json shows them"
    withdrawn = {one["uid"]: one for one in run["withdrawn"]}
    for uid in run["pathways"]:
        yield f"  pathway  {uid}{_why(withdrawn[uid]) if uid in withdrawn else ''}"
    for playbook_id in run["playbooks"]:
        yield f"  playbook {playbook_id}"
    for receipt in run["receipts"]:
        yield f"  receipt  {receipt['key']}"


def _why(trace: dict[str, Any]) -> str:
    """Since when a trace serves no more, and why."""
    by = f" by {', '.join(trace['revised_by'])}" if trace["revised_by"] else ""
    at = "" if trace["at"] is None else f" {_time(trace['at'])}"
    if trace["state"] == "retired":
        return f", retired{at}: {trace['reason']}{f'; revised{by}' if by else ''}"
    return f", revised{by}{at}"


def _time(text: str) -> str:
    return text[:19].replace("T", " ")


def _line(line: dict[str, Any]) -> str:
    shown = f"{line['source_key']}:{line['line']} {line['sha256'][:_HEX]} {line['check']}, {line['status']}"
    return f"{shown} (found {line['found_sha256'][:_HEX]})" if line["check"] == "differs" else shown


def _sample(sample: dict[str, Any]) -> str:
    side = "" if sample["side"] == "origin" else ", what is not preferred"
    return f"{sample['kind']}/{sample['build_id']}: {sample['form']}, {sample['split']} row {sample['row']}{side}"
