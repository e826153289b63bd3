"""The commands `propose`, `promote`, `promotions`, `rollback`: configs that did better are made live, and taken back.

Belongs here: options and output. Not here: the work (see lakehouse/adapters/promotion.py), replays (see
replay_commands.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from lakehouse_cli.process_commands import JsonOption
from lakehouse_cli.replay_parts import ReplayParts

ByOption = Annotated[str, typer.Option(help="Who says so; kept.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(propose)
    app.command()(promote)
    app.command()(promotions)
    app.command()(rollback)


def propose(as_json: JsonOption = False) -> None:
    """Propose changes of the configs, from what led to accepted runs; nothing is changed."""
    parts = ReplayParts()
    new = {one.proposal_id for one in parts.proposals.propose()}
    every = parts.proposals.all()
    if as_json:
        told = [{k: v for k, v in one.to_document().items() if k != "tasks"} | {"is_new": one.proposal_id in new}
                for one in every]  # fmt: skip
        typer.echo(json.dumps(told, indent=2))
        return
    for one in every:
        change = json.dumps({**one.answer, **one.search})
        typer.echo(f"{one.proposal_id}  {one.name}  {change}  over {one.over}: {one.reasons[0]}"
                   f"{' (new)' if one.proposal_id in new else ''}")  # fmt: skip
    if every:
        typer.echo("try one on held-out tasks: lakehouse replay run --proposal <id>", err=True)
    else:
        typer.echo("nothing speaks for a change; at least 20 judged runs are looked at", err=True)


def promote(
    batch: Annotated[str, typer.Argument(help="Id of a batch whose verdict is promote.")],
    by: ByOption = "operator",
    as_json: JsonOption = False,
) -> None:
    """Make the candidate of a batch live, as its verdict says."""
    _tell(ReplayParts().promotions.promote(batch, by=by), as_json=as_json)


def promotions(as_json: JsonOption = False) -> None:
    """List what was promoted, and what became of it."""
    records = ReplayParts().promotions.records()
    if as_json:
        typer.echo(json.dumps(records, indent=2))
        return
    for record in records:
        _tell(record, as_json=False)
    if not records:
        typer.echo("nothing was promoted yet", err=True)


def rollback(
    promotion: Annotated[
        str | None, typer.Argument(help="Id of a promotion; by default the latest that is live.", show_default=False)
    ] = None,
    to: Annotated[str | None, typer.Option(help="Instead: make this version live, such as answer/3.")] = None,
    by: ByOption = "operator",
    reason: Annotated[str, typer.Option(help="Why; kept.")] = "asked for",
    as_json: JsonOption = False,
) -> None:
    """Make the configs live again that a promotion took the place of."""
    parts = ReplayParts()
    if to is None:
        _tell(parts.promotions.roll_back(promotion, by=by, reason=reason), as_json=as_json)
        return
    name, _, version = to.partition("/")
    if promotion is not None or not version.isdecimal():
        raise typer.BadParameter(
            "write a config and its version, such as answer/3, and no promotion", param_hint="--to"
        )
    parts.promotions.set_version(name, int(version), by=by)
    typer.echo(f"{to} is live")


def _tell(record: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(record, indent=2))
        return
    changes = ", ".join(f"{one['name']}/{one['from']} -> {one['name']}/{one['to']}" for one in record["configs"])
    expected = record["expected"]
    typer.echo(
        f"{record['promotion_id']}  {record['state'].replace('_', ' ')}  {changes}  by {record['by']};"
        f" expected {expected['mean']:.0%} ({expected['low']:.0%} to {expected['high']:.0%}, from {expected['source']})"
    )
