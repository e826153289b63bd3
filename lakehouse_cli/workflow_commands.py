"""The commands `workflow run`, `workflow check` and `workflow modes`.

Belongs here: options, exit codes, what is printed. Not here: HTTP (see client.py), workflows (see lakehouse/workflow).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lakehouse.counted import counted
from lakehouse_cli.process_commands import JsonOption

_NDJSON = "application/x-ndjson"
_FAILED = 1
_DETAIL = 160
workflows = typer.Typer(help="Workflows: files of nodes that run as a graph.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(workflows, name="workflow")


@workflows.command()
def run(
    file: Annotated[str, typer.Argument(help="A workflow file, or the name of one that the API has.")],
    given: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", help="name=value; JSON where it is JSON, else text. Repeatable."),
    ] = None,
    input_file: Annotated[Path | None, typer.Option(help="JSON file with the inputs, an object.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a workflow and show its nodes as they run; exits with 1 when it did not succeed."""
    body = {"workflow": _workflow(file), "input": _inputs(given or [], input_file)}
    done: dict[str, Any] | None = None
    run_id, has_ended = None, False
    for event in _events(body):
        run_id = run_id or event.get("run_id")
        has_ended = event["event"] in ("end", "error")
        if event["event"] == "end":
            done = event["run"]
        elif event["event"] == "error":
            typer.echo(f"error: {event['detail']}", err=True)
        else:
            typer.echo(_state(event), err=True)
    if not has_ended:
        where = f"GET /v1/observer/workflow/runs/{run_id}"
        typer.echo(f"error: the end of run {run_id} did not come; what ran is on record: {where}", err=True)
    if done is None:
        raise typer.Exit(_FAILED)
    if as_json:
        typer.echo(json.dumps(done, indent=2, ensure_ascii=False))
    elif done["success"]:
        typer.echo(
            done["output"]
            if isinstance(done["output"], str)
            else json.dumps(done["output"], indent=2, ensure_ascii=False)
        )
    if not done["success"]:
        why = done["error"] or {}
        typer.echo(f"failed at {why.get('node')}: {why.get('detail')}", err=True)
        raise typer.Exit(_FAILED)


@workflows.command()
def check(
    file: Annotated[Path, typer.Argument(help="A workflow file.", exists=True, dir_okay=False)],
    as_json: JsonOption = False,
) -> None:
    """Check a workflow file without running anything; what is wrong is told with its line."""
    from lakehouse.workflow import default_catalog, read_workflow

    found = read_workflow(_text(file), name=str(file), catalog=default_catalog())
    needed = [name for name, spec in found.inputs.items() if spec.is_required]
    if as_json:
        shown = {
            "name": found.name,
            "version": found.version,
            "concurrency": found.concurrency,
            "inputs": {name: {"required": name in needed} for name in found.inputs},
            "nodes": [{"id": node.id, "mode": node.mode, "needs": list(node.needs)} for node in found.nodes],
        }
        typer.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    typer.echo(
        f"{found.name} version {found.version}: {counted(len(found.nodes), 'node')}, {found.concurrency} at a time"
    )
    typer.echo(f"inputs: {', '.join(found.inputs) or 'none'}" + (f" (needed: {', '.join(needed)})" if needed else ""))
    for node in found.nodes:
        typer.echo(f"  {node.id:<20} {node.mode:<20} needs {', '.join(node.needs) or 'nothing'}")


@workflows.command()
def modes(as_json: JsonOption = False) -> None:
    """List what nodes can do, with the fields of their `with`."""
    from lakehouse.workflow import default_catalog

    catalog = default_catalog()
    if as_json:
        shown = {
            mode.name: {
                "meaning": mode.meaning,
                "fields": {
                    name: {"type": field.kind, "meaning": field.meaning, "required": field.is_required}
                    for name, field in mode.fields.items()
                },
            }
            for mode in catalog.modes.values()
        }
        typer.echo(json.dumps(shown, indent=2))
        return
    for name in catalog.names:
        mode = catalog.modes[name]
        typer.echo(f"{name}: {mode.meaning}")
        for field_name, field in mode.fields.items():
            mark = "*" if field.is_required else " "
            typer.echo(f"  {mark} {field_name:<14} {field.kind:<8} {field.meaning}")


def _workflow(file: str) -> Any:
    """The file as an object, its lines checked here; or a name, which the API looks up."""
    path = Path(file)
    if not path.is_file():
        if path.suffix or "/" in file:
            raise typer.BadParameter(f"there is no file {file}", param_hint="FILE")
        return file
    from lakehouse.workflow import default_catalog, read_workflow
    from lakehouse.workflow.values import read_value
    from lakehouse.yaml_lines import read_document

    text = _text(path)
    read_workflow(text, name=file, catalog=default_catalog())
    document, _ = read_value(read_document(text, name=file), may_hold_templates=False)
    return document


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{path} is not UTF-8", param_hint="FILE") from None


def _inputs(given: list[str], input_file: Path | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if input_file is not None:
        found = _file_of(input_file)
    for one in given:
        name, has_value, value = one.partition("=")
        if not has_value or not name:
            raise typer.BadParameter(f"{one[:60]!r} is not a name=value", param_hint="--input")
        found[name] = _value(value)
    return found


def _file_of(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise typer.BadParameter(f"there is no file {path}", param_hint="--input-file")
    try:
        found = json.loads(path.read_text("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{path} is not JSON: {error}", param_hint="--input-file") from None
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{path} holds no object of inputs", param_hint="--input-file")
    return found


def _value(text: str) -> Any:
    """JSON where it is JSON of more than a text; `@file` is the text of a file."""
    if text.startswith("@"):
        path = Path(text[1:])
        if not path.is_file():
            raise typer.BadParameter(f"there is no file {path}", param_hint="--input")
        return _text(path)
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text


def _refuse_constant(name: str) -> Any:
    """`NaN` and its like, which Python reads and JSON has not."""
    raise ValueError(f"{name} is not JSON")


def _events(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    from lakehouse_cli.client import connect_api
    from lakehouse_cli.reading_settings import read_settings

    with connect_api(read_settings()) as api:
        asked = {"json": dict(body), "headers": {"Accept": _NDJSON}, "timeout": None}
        with api.lines("POST", "/v1/observer/workflow/run", **asked) as lines:
            yield from map(json.loads, lines)


def _state(event: Mapping[str, Any]) -> str:
    if event["event"] == "run":
        return f"run {event['run_id']} of {event['workflow']}"
    more = ""
    if event["state"] == "succeeded":
        model = f", {event['model']}" if event.get("model") else ""
        repairs = f", {counted(event['repairs'], 'repair')}" if event.get("repairs") else ""
        more = f" (attempt {event['attempts']}{model}{repairs})"
    elif event.get("error"):
        more = f": {event['error']['detail'][:_DETAIL]}"
    return f"  {event['id']:<20} {event['state']}{more}"
