"""Commands for corpora: build, list, stats. They work on the bucket itself, with or without a running platform.

Belongs here: options and output. Not here: the work (see lakehouse/adapters/corpus_builder.py), searching (see
search_commands.py).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.counted import counted
from lakehouse_cli.process_commands import JsonOption

if TYPE_CHECKING:
    from rich.console import Console

    from lakehouse.adapters.corpus_report import BuildReport
    from lakehouse.retrieval.corpus import CorpusDeclaration
    from lakehouse.settings import Settings

CODE_VERSION = "1"
corpus = typer.Typer(help="Corpora: build what corpora/ declares, list, show.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(corpus, name="corpus")


@corpus.command()
def build(
    names: Annotated[list[str], typer.Argument(help="Corpora that corpora/ declares.")],
    full: Annotated[bool, typer.Option("--full", help="Make new files and embed every row again.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring corpora up to date with their sources; only what is new or changed is embedded."""
    from rich.console import Console

    from lakehouse.adapters.corpus_files import find_declaration
    from lakehouse_cli.reading_settings import read_settings

    settings = read_settings()
    declarations = [find_declaration(settings.corpora_dir, name) for name in names]
    errors = Console(stderr=True)
    reports = [report for d in declarations for report in build_corpus(settings, d, errors, is_full=full)]
    if as_json:
        typer.echo(json.dumps([report.to_document() for report in reports], indent=2))
        return
    for report in reports:
        typer.echo(told(report))
        if report.quarantine_key:
            typer.echo(
                f"refused: {counted(report.progress.refused, 'row')}, with their reasons in {report.quarantine_key}",
                err=True,
            )


@corpus.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List declared corpora and what is built of them, and indexes made over HTTP."""
    from lakehouse_cli.corpus_tables import print_states, read_states

    states = read_states()
    if as_json:
        typer.echo(json.dumps([asdict(state) for state in states], indent=2))
    else:
        print_states(states)


@corpus.command()
def stats(
    name: Annotated[str, typer.Argument(help="A corpus or index.")],
    as_json: JsonOption = False,
) -> None:
    """Show what a corpus is and how its files are: rows, fragments, bytes, versions."""
    from lakehouse.adapters.connect import store_location
    from lakehouse.adapters.lance_tables import LanceTables
    from lakehouse.adapters.objects import S3ObjectStore
    from lakehouse.errors import NotFound
    from lakehouse_cli.corpus_tables import print_stats
    from lakehouse_cli.reading_settings import read_settings

    location = store_location(read_settings())
    table = LanceTables(location, S3ObjectStore(location)).open(name)
    if table is None:
        raise NotFound(f"no corpus {name!r} is built; see: lakehouse corpus list", name=name)
    document: dict[str, Any] = {"name": name, **table.stats(), "info": dict(table.info)}
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    else:
        print_stats(document)


def build_corpus(
    settings: Settings, declaration: CorpusDeclaration, console: Console, *, is_full: bool
) -> list[BuildReport]:
    """Build one corpus, with a progress bar on a terminal; a report for each of its parts."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from lakehouse.adapters.connect import connect_store
    from lakehouse.adapters.corpus_context import open_builder
    from lakehouse.adapters.corpus_report import BuildProgress
    from lakehouse.clock import new_id, utc_now
    from lakehouse.receipts.receipt import write_receipt
    from lakehouse_assets.source_version import source_version

    builder, store, reports = open_builder(settings), connect_store(settings), []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        for part in range(declaration.partitions):
            task = bar.add_task(declaration.name, total=None)

            def show(progress: BuildProgress, task: Any = task) -> None:
                line = f"{declaration.name}: {progress.embedded:,} embedded, {progress.rows_per_s:,.0f} rows/s"
                bar.update(task, total=progress.total, completed=progress.seen, description=line)

            started_at = utc_now()
            report = builder.build_or_await(
                declaration, part=part, is_full=is_full, on_progress=show, on_waiting=console.print
            )
            bar.remove_task(task)
            receipt = report.receipt(
                run_id=new_id(),
                code_version=CODE_VERSION,
                git_commit=source_version(),
                started_at=started_at,
                now=utc_now(),
            )
            write_receipt(store, receipt)
            reports.append(report)
    return reports


def told(report: BuildReport) -> str:
    """A report as a line for the terminal."""
    done = report.progress
    name = report.corpus if report.part == "all" else f"{report.corpus} {report.part}"
    if not report.is_changed:
        return f"up to date: {name}, {counted(report.rows, 'row')}, version {report.version}"
    counts = f"{done.new:,} new, {done.changed:,} changed, {done.unchanged:,} unchanged, {done.deleted:,} deleted"
    shown = "ready, shown when all parts are" if report.is_waiting else f"version {report.version}"
    rate = f"{done.embedded:,} embedded by {report.embedder} in {done.seconds:,.1f} s"
    return f"built: {name}, {counted(report.rows, 'row')} ({counts}), {rate}, {shown}"
