"""Commands that start, stop and show the platform's processes: up, down, status, token, supervise.

Belongs here: options and output. Not here: the work (see start.py, sample_load.py).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lakehouse_cli.start import Installation

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(token)
    app.command(hidden=True)(supervise)


def up(
    sample: Annotated[bool, typer.Option(help="Load the sample when it is not there yet.")] = True,
) -> None:
    """Start the store, the API and Dagster, load the sample, and say what to try."""
    from rich.console import Console

    from lakehouse.settings_folders import make_folders
    from lakehouse_cli.sample_load import load_sample
    from lakehouse_cli.start import start_all
    from lakehouse_cli.welcome import print_welcome

    installation, console = _installation(), Console(highlight=False)
    make_folders(installation.settings)
    children = start_all(installation, console)
    rows = installation.settings.sample_rows if sample else 0
    loaded = load_sample(installation.settings, rows, console) if rows else []
    print_welcome(installation.settings, children, loaded, console)


def down() -> None:
    """Stop everything that `up` started, by pid; data stays."""
    from lakehouse_cli.start import stop_all

    installation = _installation()
    was_running = installation.table.names()
    killed = stop_all(installation)
    typer.echo(f"stopped: {', '.join(was_running)}" if was_running else "nothing was running")
    if killed:
        typer.echo(f"did not stop in time and were killed: {', '.join(killed)}", err=True)


def status(as_json: JsonOption = False) -> None:
    """Show each process; exit code 1 when one of them is not ready."""
    from rich.table import Table

    from lakehouse_cli.children import make_children
    from lakehouse_cli.start import status_lines
    from lakehouse_cli.terminal import output_console

    installation = _installation()
    lines = status_lines(installation, make_children(installation.settings))
    if as_json:
        typer.echo(json.dumps([asdict(line) for line in lines], indent=2))
    else:
        table = Table("name", "state", "pid", "restarts", "url", "message", box=None, pad_edge=False)
        for line in lines:
            color = {"ready": "green", "starting": "yellow", "waiting": "yellow"}.get(line.state, "red")
            cells = (str(line.pid or ""), str(line.restarts or ""), line.url, line.message)
            table.add_row(line.name, f"[{color}]{line.state}[/]", *cells)
        output_console().print(table)
    if any(line.state != "ready" for line in lines):
        raise typer.Exit(1)


def token() -> None:
    """Print the token that the API of this installation accepts."""
    from lakehouse.client.installation import find_token
    from lakehouse.errors import NotFound
    from lakehouse.settings import process_environ

    settings = _installation().settings
    found = find_token(settings, process_environ())
    if found is None:
        where = f"there is no installation in {settings.data_dir.absolute()}"
        raise NotFound(f"{where}: run this in the folder of yours, set LAKEHOUSE_DATA_DIR, or start one: lakehouse up")
    typer.echo(found)


def supervise() -> None:
    """Look after the child processes until SIGTERM (`up` starts this)."""
    from lakehouse_cli.supervise import supervise as run

    run(_installation())


def _installation() -> Installation:
    from lakehouse_cli.reading_settings import read_settings
    from lakehouse_cli.start import Installation

    return Installation(read_settings())
