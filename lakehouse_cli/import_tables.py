"""Imports on the terminal and as a report: what came of each file, and which published figures its rows contradict.

Belongs here: how it is shown. Not here: the command (see import_commands.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import typer

from lakehouse.adapters.trajectory_import import Imported
from lakehouse.counted import counted
from lakehouse.trajectories.formats import Format
from lakehouse.trajectories.published import Finding
from lakehouse.trajectories.run import Origin

_SHOWN = 40


def print_imported(one: Imported, *, is_dry: bool) -> None:
    """One file, with the first of what was refused."""
    summary = one.summary
    if one.error:
        typer.echo(f"error: {one.error}", err=True)
        return
    if one.key is not None and not one.is_new:
        typer.echo(f"{one.file}: imported before, as {one.key}")
        return
    parts = [counted(summary.runs, "run")]
    parts += [f"{summary.duplicates:,} twice in the file"] if summary.duplicates else []
    parts += [f"{summary.passed_over:,} passed over"] if summary.passed_over else []
    parts += [f"{summary.refused:,} refused"] if summary.refused else []
    target = "" if is_dry or one.key is None else f" -> {one.key}"
    typer.echo(f"{one.file}: {', '.join(parts)}{target}")
    for reason in summary.first_refusals:
        typer.echo(f"  refused {reason}", err=True)
    if one.quarantine_key:
        typer.echo(f"  all that was refused: {one.quarantine_key}", err=True)


def print_findings(findings: Sequence[Finding]) -> None:
    """Published figures that the rows contradict, or bear out only when counted in another way."""
    if not findings:
        return
    counts = Counter(f.verdict for f in findings)
    said = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(counts.items()))
    typer.echo(f"published figures: {said}")
    told = [f for f in findings if f.verdict in ("contradicted", "holds otherwise")]
    if not told:
        return
    rows = [("benchmark", "model", "field", "published", "recomputed", "")]
    for one in told[:_SHOWN]:
        note = one.note if one.verdict == "holds otherwise" else "contradicted"
        rows.append((one.benchmark, one.model, one.field, _shown(one.published), _shown(one.recomputed), note))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if len(told) > _SHOWN:
        typer.echo(f"and {len(told) - _SHOWN:,} more; --report FILE has all of them")


def report_of(
    of: Format, origin: Origin, done: Sequence[Imported], findings: Sequence[Finding], *, is_dry: bool
) -> dict[str, Any]:
    """The report as a JSON document; findings come in the order of the published files."""
    return {
        "format_version": 1,
        "format": of.name,
        **asdict(origin),
        "is_dry_run": is_dry,
        "files": [asdict(one) for one in done],
        "published": [asdict(one) for one in findings],
    }


def _shown(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.10g}" if isinstance(figure, int) else f"{figure:,.4g}"
