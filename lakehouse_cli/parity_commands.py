"""The command `parity`: whether two services validate alike.

Belongs here: options, output, exit codes. Not here: the comparison (see lakehouse/parity/), HTTP (see parity_calls.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.counted import counted
from lakehouse.parity.comparison import Outcome, Verdict, compare, count_verdicts
from lakehouse.parity.forms import Form
from lakehouse_cli.not_run import EXIT_NOT_RUN, as_not_run
from lakehouse_cli.numbers import finite
from lakehouse_cli.process_commands import JsonOption

if TYPE_CHECKING:
    from lakehouse_cli.remote import Remote

EXIT_DIVERGED = 1
_COLORS = {Verdict.SAME: "green", Verdict.DIFFERS: "red", Verdict.UNEXPECTED: "red", Verdict.UNANSWERED: "yellow"}


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(parity)


def parity(  # noqa: PLR0917 - Typer passes all by name
    left: Annotated[str, typer.Option(help="Address of one service, such as http://127.0.0.1:8000.")],
    right: Annotated[str, typer.Option(help="Address of the other.")],
    cases: Annotated[
        Path | None,
        typer.Option(help="JSON file of cases; default: built-in ones (docs/guides/load-and-parity.md)."),
    ] = None,
    left_form: Annotated[Form, typer.Option(help="Form of errors that left is asked for.")] = Form.TAGGED,
    right_form: Annotated[Form, typer.Option(help="The same for right.")] = Form.TAGGED,
    left_token: Annotated[
        str, typer.Option(envvar="LEFT_TOKEN", help="Bearer token for left; this installation's API needs none given.")
    ] = "",
    right_token: Annotated[str, typer.Option(envvar="RIGHT_TOKEN", help="The same for right.")] = "",
    timeout: Annotated[float, typer.Option(min=0.1, callback=finite, help="Seconds that one answer may take.")] = 10.0,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Cases in flight at once.")] = 8,
    as_json: JsonOption = False,
) -> None:
    """Send the same cases to two services' POST /v1/validate and compare status and shape of the answers.

    Exit code 0: all the same; 1: a divergence, or an answer other than the case expects; 3: not compared, since a
    service cannot be reached or refuses, or the file of cases is wrong.
    """
    from lakehouse_cli.reading_settings import read_settings
    from lakehouse_cli.remote import find_remote

    with as_not_run():
        settings = read_settings()
        services = (
            find_remote(left, left_token, settings=settings, option="--left"),
            find_remote(right, right_token, settings=settings, option="--right"),
        )
        forms = (left_form, right_form)
        outcomes = _compared(cases, services, forms=forms, timeout_s=timeout, concurrency=concurrency)
    if as_json:
        sides = {
            name: {"url": service.url, "form": str(form)}
            for name, service, form in zip(("left", "right"), services, forms, strict=True)
        }
        document = {**sides, "counts": count_verdicts(outcomes), "cases": [o.to_document() for o in outcomes]}
        typer.echo(json.dumps(document, indent=2))
    else:
        _print(outcomes)
    found = {outcome.verdict for outcome in outcomes}
    if found & {Verdict.DIFFERS, Verdict.UNEXPECTED}:
        raise typer.Exit(EXIT_DIVERGED)
    if Verdict.UNANSWERED in found:
        raise typer.Exit(EXIT_NOT_RUN)


def _compared(
    file: Path | None,
    services: tuple[Remote, Remote],
    *,
    forms: tuple[Form, Form],
    timeout_s: float,
    concurrency: int,
) -> list[Outcome]:
    from lakehouse.errors import BadInput
    from lakehouse.parity.cases import builtin_cases, read_cases
    from lakehouse_cli.parity_calls import ask_both

    try:
        cases = builtin_cases() if file is None else read_cases(file.read_bytes(), source=str(file))
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}") from None
    answers = ask_both(cases, services, forms=forms, timeout_s=timeout_s, concurrency=concurrency)
    return [compare(case, one, other, forms=forms) for case, (one, other) in zip(cases, answers, strict=True)]


def _print(outcomes: Sequence[Outcome]) -> None:
    from rich.table import Table

    from lakehouse_cli.terminal import output_console, shown

    table = Table("case", "left", "right", "verdict", "what differs", box=None, pad_edge=False, header_style="bold")
    for outcome in outcomes:
        verdict = f"[{_COLORS[outcome.verdict]}]{outcome.verdict}[/]"
        cells = (_printable(outcome.case.name), outcome.left, outcome.right)
        table.add_row(*(shown(cell) for cell in cells), verdict, shown("\n".join(outcome.reasons), keeps_lines=True))
    console = output_console()
    console.print(table)
    counts = ", ".join(f"{number} {verdict}" for verdict, number in count_verdicts(outcomes).items() if number)
    console.print(f"{counted(len(outcomes), 'case')}: {counts}")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
