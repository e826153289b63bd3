"""The commands `drift baseline|run|report|acknowledge`: is what runs now still what ran. They work on the bucket.

Belongs here: options, output, exit codes. Not here: comparing (see lakehouse/adapters/drift_desk.py), what is shown
(see drift_tables.py).
"""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse_cli.maintenance_commands import DryRunOption
from lakehouse_cli.process_commands import JsonOption
from lakehouse_cli.usage import as_usage_error

if TYPE_CHECKING:
    from lakehouse.adapters.drift_desk import DriftDesk
    from lakehouse.drift.finding import Kind

ALL = "all"
_FROZEN = 1
drift = typer.Typer(help="Drift: baselines, reports, what keeps corpora from being built.", no_args_is_help=True)
KindArgument = Annotated[
    str, typer.Argument(metavar="KIND", help="scorer, playbook, embedding, audit or outcome; or all.")
]
OneKindArgument = Annotated[str, typer.Argument(metavar="KIND", help="scorer, playbook, embedding, audit or outcome.")]
ByOption = Annotated[str, typer.Option(help="Who; it is kept.")]
WhyOption = Annotated[str, typer.Option(help="Why; it is kept.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(drift, name="drift")


@drift.command()
def baseline(  # noqa: PLR0917 - Typer passes all by name
    kind: OneKindArgument,
    by: ByOption,
    why: WhyOption,
    first: Annotated[str | None, typer.Option("--from", help="The first day, YYYY-MM-DD.", show_default=False)] = None,
    last: Annotated[
        str | None, typer.Option("--to", help="The last day; by default yesterday (UTC).", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make what ran on some days the baseline; versions before it are kept."""
    (one,) = _kinds(kind, is_all_allowed=False)
    made = _desk().set_baseline(one, first=_day(first, "--from"), last=_day(last, "--to"), by=by, why=why)
    if as_json:
        told = {"kind": one, "version": made.version, "first": str(made.first), "last": str(made.last), "by": made.by}
        typer.echo(json.dumps(told, indent=2))
    else:
        typer.echo(f"baseline {made.version} of {one}: {made.first} to {made.last}")


@drift.command()
def run(
    kind: KindArgument,
    day: Annotated[
        str | None, typer.Option(help="The day, YYYY-MM-DD; by default yesterday (UTC).", show_default=False)
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Report a day, once; exit code 1: corpora are not built until somebody acknowledges what is confirmed."""
    from lakehouse_cli.drift_tables import print_report

    desk, of, told, kinds = _desk(), _day(day, "--day"), [], _kinds(kind)
    for one in kinds:
        done = desk.run(one, of, is_dry=dry_run)
        told.append({**done.report.to_document(), "is_new": done.is_new})
        if not as_json:
            print_report(done.report, is_new=done.is_new, is_dry=dry_run)
    if as_json:
        typer.echo(json.dumps(told, indent=2))
    if any(desk.gate.open_drift(one) is not None for one in kinds):
        raise typer.Exit(_FROZEN)


@drift.command()
def report(
    kind: KindArgument = ALL,
    as_json: JsonOption = False,
) -> None:
    """Show where each kind stands; exit code 1: corpora wait for an acknowledgement."""
    from lakehouse_cli.drift_tables import print_state, state_document

    desk = _desk()
    states = [desk.state(one) for one in _kinds(kind)]
    if as_json:
        typer.echo(json.dumps([state_document(one) for one in states], indent=2))
    else:
        for state in states:
            print_state(state)
    if any(state.open is not None for state in states):
        raise typer.Exit(_FROZEN)


@drift.command()
def acknowledge(kind: OneKindArgument, by: ByOption, why: WhyOption, as_json: JsonOption = False) -> None:
    """Acknowledge what of a kind is confirmed, so that corpora are built again; who and why are kept."""
    (one,) = _kinds(kind, is_all_allowed=False)
    said = _desk().acknowledge(one, by=by, why=why)
    if as_json:
        told: dict[str, Any] = {"kind": said.kind, "day": said.day, "findings": list(said.findings), "at": said.at}
        typer.echo(json.dumps(told, indent=2))
        return
    typer.echo(f"acknowledged: {said.kind} up to {said.day}; corpora are built again")
    for mark in said.findings:
        typer.echo(f"  {mark}")


def _kinds(name: str, *, is_all_allowed: bool = True) -> list[Kind]:
    from lakehouse.drift.finding import KINDS, kind_of

    if name == ALL and is_all_allowed:
        return list(KINDS)
    with as_usage_error("KIND"):
        return [kind_of(name)]


def _desk() -> DriftDesk:
    from lakehouse_cli.evidence_parts import EvidenceParts

    return EvidenceParts().drift


def _day(text: str | None, option: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day; write YYYY-MM-DD", param_hint=option) from None
