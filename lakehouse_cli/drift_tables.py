"""Drift on the terminal: reports and where each kind stands.

Belongs here: how they are shown. Not here: getting them (see drift_commands.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from lakehouse.adapters.drift_desk import KindState
    from lakehouse.drift.report import DriftReport

_SHOWN = 20


def print_report(report: DriftReport, *, is_new: bool, is_dry: bool) -> None:
    """Show a report: its verdict, then what is not stable."""
    where = "nothing is kept" if is_dry else f"{'written' if is_new else 'there already'}: {report.prefix}report.md"
    typer.echo(f"{report.kind} {report.day}: {said(report)} ({where})")
    told = [one for one in report.findings if one.verdict in ("drift", "label_correction", "notice")]
    for one in told[:_SHOWN]:
        of = f" of {one.group}" if one.group else ""
        values = f"{_number(one.baseline)} -> {_number(one.now)}"
        typer.echo(f"  {one.verdict.replace('_', ' ')}: {one.name}{of} {values}{f'; {one.note}' if one.note else ''}")
    if len(told) > _SHOWN:
        typer.echo(f"  and {len(told) - _SHOWN} more; --json shows them")


def print_state(state: KindState) -> None:
    """Show where a kind stands."""
    baseline = "no baseline" if state.baseline is None else f"baseline {state.baseline.version} ({state.baseline.last})"
    latest = "no report" if state.latest is None else f"{state.latest.day}: {said(state.latest)}"
    typer.echo(f"{state.kind}: {latest}; {baseline}")
    if state.open is not None:
        typer.echo(f"  NOT ACKNOWLEDGED, corpora wait: {state.open}")
        typer.echo(f"  lakehouse drift acknowledge {state.kind} --by WHO --why REASON")
    for one in state.acknowledged[-3:]:
        typer.echo(f"  acknowledged up to {one.day} by {one.by}: {one.why}")


def said(report: DriftReport) -> str:
    """The verdict in words."""
    if report.verdict is None:
        return f"no verdict: {report.reason}"
    if report.verdict == "drift":
        return "drift, not confirmed" if report.confirmed_by is None else f"drift, confirmed ({report.confirmed_by})"
    return report.verdict.replace("_", " ")


def state_document(state: KindState) -> dict[str, Any]:
    """The same as JSON."""
    from dataclasses import asdict

    baseline = state.baseline
    told = None
    if baseline is not None:
        days = {"first": str(baseline.first), "last": str(baseline.last)}
        told = {"version": baseline.version, **days, "by": baseline.by, "why": baseline.why}
    return {
        "kind": state.kind,
        "baseline": told,
        "latest": None if state.latest is None else state.latest.to_document(),
        "open": None if state.open is None else state.open.to_document(),
        "acknowledged": [asdict(one) for one in state.acknowledged],
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}"
