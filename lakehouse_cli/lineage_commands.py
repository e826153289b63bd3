"""The command `lineage`: where something comes from, and what was made of it.

Belongs here: options, exit codes. Not here: HTTP (see client.py), what is printed (see lineage_tables.py), audits (see
audit_commands.py).
"""

from __future__ import annotations

import json
from typing import Annotated
from urllib.parse import quote

import typer

from lakehouse_cli.process_commands import JsonOption

_UNSOUND = 1


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(lineage)


def lineage(
    of: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="A run, a sample, a chunk (`<sample>#<n>`), or a line (`raw/<stream>/dt=…/x.jsonl:17`)."
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Show where something comes from, held against the raw bytes, and what was made of it; exit code 1: not sound."""
    from lakehouse_cli.client import connect_api
    from lakehouse_cli.lineage_tables import print_lineage
    from lakehouse_cli.reading_settings import read_settings

    with connect_api(read_settings()) as api:
        found = api.json("GET", f"/v1/lineage/{quote(of, safe='')}")
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        print_lineage(found)
    if not found["is_sound"]:
        raise typer.Exit(_UNSOUND)
