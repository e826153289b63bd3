"""`lakehouse import`: files of published or foreign runs into the raw stream of trajectories.

Belongs here: options, which files a folder holds, exit codes. Not here: the work (see
lakehouse/adapters/trajectory_import.py), what is printed (see import_tables.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from lakehouse.counted import counted
from lakehouse.errors import BadInput, TooLarge
from lakehouse_cli.maintenance_commands import DryRunOption
from lakehouse_cli.process_commands import JsonOption
from lakehouse_cli.usage import as_usage_error

if TYPE_CHECKING:
    from lakehouse.adapters.trajectory_import import Imported
    from lakehouse.trajectories.formats import Format
    from lakehouse.trajectories.published import Finding
    from lakehouse.trajectories.run import Plan

_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson"})
_REFUSED, _WRONG = 1, 2
_FIGURES = "published figures"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("import")(import_runs)


def import_runs(  # noqa: PLR0917 - Typer passes all by name
    format_: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT", help="tau_bench, openhands_index, code_review_bench, openai_pairs or otlp_genai."
        ),
    ],
    files: Annotated[list[Path], typer.Argument(exists=True, help="Files, or folders with JSON files below them.")],
    source: Annotated[str | None, typer.Option(help="Name of the data set; ids begin with it.")] = None,
    licence: Annotated[
        str | None, typer.Option(help="SPDX identifier of its licence; needed where the data set is not a known one.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model, where neither file nor its name says it.")] = None,
    judge: Annotated[str | None, typer.Option(help="The model that judged, where the path does not say it.")] = None,
    dry_run: DryRunOption = False,
    report: Annotated[Path | None, typer.Option(help="File for a report as JSON.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Import published or foreign runs as evidence; exit code 1: something was refused, 2: no such format."""
    from lakehouse.adapters.connect import connect_store
    from lakehouse.adapters.trajectory_import import Imported, import_plan
    from lakehouse.clock import utc_now
    from lakehouse.trajectories.formats import format_of, origin_of
    from lakehouse_cli.import_tables import print_findings, print_imported, report_of
    from lakehouse_cli.reading_settings import read_settings

    with as_usage_error("FORMAT"):
        of = format_of(format_)
    with as_usage_error("--source, --licence, --model, --judge"):
        origin = origin_of(of, source=source, licence=licence, model=model, judge=judge)
    plan = of.plan(_names(files))
    objects = None if dry_run else connect_store(read_settings())
    done: list[Imported] = []
    for one in import_plan(of, plan, origin, _open, objects=objects, folder=None, now=utc_now()):
        done.append(one)
        if not as_json:
            print_imported(one, is_dry=dry_run)
    findings, problem = _check(of, plan)
    if problem and not any(one.error == problem for one in done):
        done.append(Imported(_FIGURES, error=problem))
    document = json.dumps(report_of(of, origin, done, findings, is_dry=dry_run), indent=2)
    if report is not None:
        report.write_text(document + "\n")
    if as_json:
        typer.echo(document)
    else:
        print_findings(findings)
        if done and done[-1].file == _FIGURES:
            print_imported(done[-1], is_dry=dry_run)
        typer.echo(_said(done, is_dry=dry_run))
    if not done or any(one.error for one in done):
        raise typer.Exit(_WRONG)
    if any(one.summary.refused for one in done):
        raise typer.Exit(_REFUSED)


def _said(done: Sequence[Imported], *, is_dry: bool) -> str:
    summaries = [one.summary for one in done]
    runs, refused = sum(s.runs for s in summaries), sum(s.refused for s in summaries)
    failed = sum(bool(one.error) for one in done)
    known = sum(one.key is not None and not one.is_new for one in done)
    return (
        f"{'would import' if is_dry else 'imported'} {counted(runs, 'run')}; {refused:,} refused;"
        f" {counted(known, 'file', 'was')} imported before,"
        f" {failed:,} could not be"
    )


def _names(given: Sequence[Path]) -> list[str]:
    """Files as they are given, of folders those that may hold runs; sorted, each once."""
    found = {
        str(path)
        for one in given
        for path in (one.rglob("*") if one.is_dir() else [one])
        if path.is_file() and (path == one or path.suffix in _SUFFIXES)
    }
    return sorted(found)


def _check(of: Format, plan: Plan) -> tuple[list[Finding], str]:
    """Published figures held against their rows, or why they cannot be."""
    try:
        return [] if of.check is None else list(of.check(plan, _open)), ""
    except (BadInput, TooLarge) as error:
        return [], error.detail


def _open(name: str) -> BinaryIO:
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise BadInput(f"{name} cannot be read: {error.strerror}") from None
