"""The commands `lineage` and `audit`: where something comes from, and whether everything is as it is said to be.

Belongs here: options, exit codes. Not here: HTTP (see client.py), what is printed (see lineage_tables.py), looking (see
lakehouse/adapters/audit.py).
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
    app.command()(audit)


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
    from lakehouse.settings import load_settings
    from lakehouse_cli.client import connect_api
    from lakehouse_cli.lineage_tables import print_lineage

    with connect_api(load_settings()) as api:
        found = api.json("GET", f"/v1/lineage/{quote(of, safe='')}")
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        print_lineage(found)
    if not found["is_sound"]:
        raise typer.Exit(_UNSOUND)


def audit(
    full: Annotated[bool, typer.Option("--full", help="Read every byte and every raw line.")] = False,
    sample: Annotated[int, typer.Option(min=0, help="Else so many raw lines, others each time.")] = 1000,
    as_json: JsonOption = False,
) -> None:
    """Hold manifests, receipts, raw lines and builds against what lies in the bucket; exit code 1: something is wrong.

    The report is kept in the bucket, too: `audits/<id>/report.md` and `.json`.
    """
    from lakehouse.adapters.audit import Auditor
    from lakehouse_cli.evidence_parts import EvidenceParts

    parts = EvidenceParts()
    auditor = Auditor(parts.objects, parts.location, work_dir=parts.work_dir)
    report = auditor.audit(is_full=full, sample=sample)
    key = auditor.keep(report)
    typer.echo(report.to_json().decode() if as_json else f"{report.to_markdown()}\nkept as {key}")
    if not report.is_sound:
        raise typer.Exit(_UNSOUND)
