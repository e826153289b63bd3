"""The command `proof`: every claim of the documentation, judged by what shows it.

Belongs here: options, exit codes, output. Not here: the work (see proof_run.py).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.counted import counted
from lakehouse.proof.claims import Mode
from lakehouse_cli.not_run import as_not_run
from lakehouse_cli.process_commands import JsonOption

EXIT_FAILED = 1
_ROOT = Path(__file__).resolve().parents[1]


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(proof)


def proof(  # noqa: PLR0917 - Typer passes all by name
    mode: Annotated[Mode, typer.Option(help="What is proven: single answers, chains and faults, or speed.")],
    only: Annotated[str | None, typer.Option(help="Id of one claim, or name of one case.")] = None,
    bootstrap: Annotated[
        bool, typer.Option("--bootstrap/--no-bootstrap", help="Start a clean stack; else ask what runs here.")
    ] = True,
    regenerate_baseline: Annotated[
        bool, typer.Option("--regenerate-baseline", help="Take rankings as they come, and show what has changed.")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option(help="Outcomes of tests that ran already (pytest --junit-xml); default: run them.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the record and the report.")] = Path(".lakehouse/proof"),
    as_json: JsonOption = False,
) -> None:
    """Prove what the documentation claims: pass, fail or skip for each claim; one without evidence fails.

    Writes a JSON line for each assertion and a Markdown report. Exit code 0: no claim failed; 1: some did; 3: it could
    not be run.
    """
    from lakehouse.proof.report import summary
    from lakehouse.proof.verdicts import Outcome
    from lakehouse_cli.proof_run import ProofOptions, run_proof
    from lakehouse_cli.reading_settings import read_settings

    options = ProofOptions(mode, only, bootstrap, regenerate_baseline, junit, out)
    with as_not_run():
        done = run_proof(_ROOT, options, read_settings(), tell=_tell)
    failed = [verdict for verdict in done.verdicts if verdict.outcome is Outcome.FAIL]
    if as_json:
        told = [
            {"id": one.claim.id, "outcome": str(one.outcome), "passed": one.passed, "failed": one.failed,
             "reason": one.reason} for one in done.verdicts
        ]  # fmt: skip
        typer.echo(json.dumps({"mode": str(mode), "claims": told, "lines": str(done.lines)}, indent=2))
    else:
        for verdict in failed:
            typer.echo(f"FAIL  {verdict.claim.id}: {verdict.reason[:500]}")
        if done.difference is not None:
            typer.echo(done.difference or "the golden rankings have not changed")
        typer.echo(
            f"{mode}: {summary(done.verdicts)} of {counted(len(done.verdicts), 'claim')}; {done.report}, {done.lines}"
        )
    if failed:
        raise typer.Exit(EXIT_FAILED)


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        typer.echo(text, err=True)
