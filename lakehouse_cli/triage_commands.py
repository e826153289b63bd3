"""The commands `triage …`: the queue of what needs a person, filling it, deciding.

Belongs here: options, output, exit codes. Not here: HTTP (see client.py), filling (see
lakehouse/adapters/triage_fill.py), rules (see lakehouse/triage).
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from lakehouse.errors import BadInput
from lakehouse_cli.maintenance_commands import DryRunOption
from lakehouse_cli.process_commands import JsonOption

_ITEM_ID = re.compile(r"[0-9a-f]{32}")


def _item_id(text: str) -> str:
    if not _ITEM_ID.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is not an id of an item; see: lakehouse triage list")
    return text


ItemArgument = Annotated[str, typer.Argument(metavar="ITEM", callback=_item_id, help="The item's id.")]

triage = typer.Typer(help="What needs a person: the queue, and decisions.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(triage, name="triage")


@triage.command("list")
def list_items(  # noqa: PLR0917 - Typer passes all by name
    state: Annotated[str | None, typer.Option(help="open, assigned or decided; default: open and assigned.")] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="suspected_pii, validator_conflict, drift, reviewer_disagreement or needs_review."),
    ] = None,
    assignee: Annotated[str | None, typer.Option(help="Whose they are.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most items.")] = 20,
    after: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List what needs a person, the most urgent first."""
    params = {"state": state, "kind": kind, "assignee": assignee, "limit": limit, "after": after}
    page = _call("GET", "/v1/triage", params={name: value for name, value in params.items() if value is not None})
    if as_json:
        typer.echo(json.dumps(page, indent=2))
        return
    for item in page["items"]:
        whose = f"  for {item['assignee']}" if item["assignee"] else ""
        decided = item["decision"]
        done = f"  {decided['verdict']} by {decided['by']}" if decided else ""
        typer.echo(f"{item['item_id']}  {item['priority']:>3}  {item['kind']:<21}  {item['of']}{whose}{done}")
        typer.echo(f"    {item['reasons'][0] if item['reasons'] else ''}")
    typer.echo(f"{page['open']} open, {page['assigned']} assigned")
    if page["next"]:
        typer.echo(f"more: --after {page['next']}")


@triage.command("show")
def show_item(item_id: ItemArgument, as_json: JsonOption = False) -> None:
    """Show an item with its reasons, and what a person needs to see."""
    item = _call("GET", f"/v1/triage/{item_id}")
    if as_json:
        typer.echo(json.dumps(item, indent=2))
        return
    typer.echo(f"{item['item_id']}  {item['kind']}  {item['state']}  version {item['version']}")
    typer.echo(f"about {item['about']} {item['of']}")
    for reason in item["reasons"]:
        typer.echo(f"  - {reason}")
    typer.echo(f"priority {item['priority']}: {'; '.join(item['priority_reasons'])}")
    if item["decision"] is not None:
        decided = item["decision"]
        typer.echo(f"{decided['verdict']} by {decided['by']} at {decided['at']}: {decided['note'] or 'no note'}")
    if item["is_withheld"]:
        typer.echo("what was asked and answered needs a token with the scope pii", err=True)
    else:
        typer.echo(json.dumps(item["context"], indent=2, ensure_ascii=False))


@triage.command("decide")
def decide_item(  # noqa: PLR0917 - Typer passes all by name
    item_id: ItemArgument,
    decision: Annotated[str, typer.Argument(help="accept, edit, reject or assign.")],
    version: Annotated[
        int | None, typer.Option(min=1, help="The version that you looked at; default: the one there is now.")
    ] = None,
    note: Annotated[str, typer.Option(help="Why.")] = "",
    output: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, allow_dash=True, help="Of an edit: a file with what should be said."),
    ] = None,
    assignee: Annotated[str | None, typer.Option(help="Of an assignment: whom to; empty: nobody.")] = None,
    by: Annotated[str | None, typer.Option(help="Who decides; default: the token's name.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Decide on an item; exit code 1: somebody else came first, or it has changed."""
    if version is None:
        version = _call("GET", f"/v1/triage/{item_id}")["version"]
    text = None if output is None else _read(output)
    body = {"decision": decision, "version": version, "note": note, "output": text, "assignee": assignee, "by": by}
    given = {name: value for name, value in body.items() if value is not None}
    item = _call("POST", f"/v1/triage/{item_id}/decision", json=given)
    if as_json:
        typer.echo(json.dumps(item, indent=2))
        return
    decided = item["decision"]
    if decided is None:
        typer.echo(f"assigned to {item['assignee']}" if item["assignee"] else "assigned to nobody")
    else:
        typer.echo(f"{decided['verdict']} by {decided['by']} at {decided['at']}")


@triage.command("fill")
def fill_queue(dry_run: DryRunOption = False, as_json: JsonOption = False) -> None:
    """Bring the queue up to date with scores, reviews, drift and builds; doing it again changes nothing."""
    from lakehouse.adapters.triage_run import fill_queue as fill
    from lakehouse_cli.evidence_parts import EvidenceParts

    parts = EvidenceParts()
    report = fill(parts.settings, parts.objects, parts.location, parts.run, work_dir=parts.work_dir, is_dry=dry_run)
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=2))
        return
    added = ", ".join(f"{count} {kind}" for kind, count in report.added.items()) or "nothing"
    done = f"{report.known} known, {report.updated} changed, {report.withdrawn} withdrawn, {report.left_out} left out"
    typer.echo(f"{'would add' if dry_run else 'added'} {added}; {done}; {report.waiting} wait for people")


def _read(path: Path) -> str:
    try:
        body = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return body.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read as a text: {error}") from None


def _call(method: str, path: str, **request: Any) -> Any:
    from lakehouse_cli.client import connect_api
    from lakehouse_cli.reading_settings import read_settings

    with connect_api(read_settings()) as api:
        return api.json(method, path, **request)
