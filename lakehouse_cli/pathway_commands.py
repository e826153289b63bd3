"""The commands `pathway …`: traces of how tasks were solved.

Belongs here: options and output. Not here: HTTP (see client.py), contents (see pathway_content.py).
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer

from lakehouse.counted import counted
from lakehouse_cli.pathway_content import content_json, request_body
from lakehouse_cli.process_commands import JsonOption

pathway = typer.Typer(
    help="Traces of how tasks were solved: add, search, show, update, revise, retire.", no_args_is_help=True
)
UidArgument = Annotated[str, typer.Argument(help="Uid of the trace.")]
ContentArgument = Annotated[
    str | None,
    typer.Argument(help='A text, or JSON where it begins with {, [ or "; `-` or none reads stdin.', show_default=False),
]
FileOption = Annotated[str, typer.Option("--file", "-f", help="Read the content from this file; `-` is stdin.")]
TextOption = Annotated[bool, typer.Option("--text", help="The content is a text, whatever it begins with.")]
TagOption = Annotated[list[str] | None, typer.Option("--tag", "-t", help="A tag; may be given several times.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(pathway, name="pathway")


@pathway.command()
def add(  # noqa: PLR0917 - Typer passes all by name
    content: ContentArgument = None,
    file: FileOption = "",
    text: TextOption = False,
    tag: TagOption = None,
    key: Annotated[str, typer.Option(help="Remember under this key, once; the same key again is a replay.")] = "",
    recalled: Annotated[bool, typer.Option("--recalled", help="It came from a search: do not learn it.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remember how something was solved; what a trace says already is linked to it."""
    if key and recalled:
        raise typer.BadParameter("excludes --key: what was recalled is in memory already", param_hint="--recalled")
    said = content_json(content, file, is_text=text)
    fields: dict[str, Any] = {"tags": tag, "key": key or None, "provenance": "recalled" if recalled else None}
    written = _write("add_idempotent" if key else "add", said, **fields)
    if as_json:
        _print_json(written)
    elif written["uid"] is None:
        typer.echo("not remembered: it came from a search, and no trace says it")
    elif written["added"]:
        typer.echo(f"added {written['uid']}")
    else:
        typer.echo(f"{'replayed' if written['link'] is None else 'linked to'} {written['uid']}{_why(written)}")


@pathway.command()
def search(  # noqa: PLR0917 - Typer passes all by name
    text: Annotated[str | None, typer.Argument(help="What to look for; without it the newest come.")] = None,
    tag: TagOption = None,
    since: Annotated[str, typer.Option(help="Updated at or after this time, ISO 8601; without a zone UTC.")] = "",
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="Most results.")] = 10,
    include_retired: Annotated[bool, typer.Option("--include-retired", help="Retired ones too.")] = False,
    include_revised: Annotated[bool, typer.Option("--include-revised", help="Revised ones too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Search traces by words and meaning."""
    body = {"text": text, "tags": tag, "since": _time(since), "k": k}
    flags = {"include_retired": include_retired, "include_revised": include_revised}
    sent = json.dumps({**{name: value for name, value in body.items() if value is not None}, **flags}).encode()
    answer = _call("POST", "search", content=sent, headers={"Content-Type": "application/json"})
    if as_json:
        _print_json(answer)
        return
    from lakehouse_cli import pathway_tables

    pathway_tables.print_found(answer["results"])


@pathway.command()
def show(uid: UidArgument, as_json: JsonOption = False) -> None:
    """Show one trace, a retired one too."""
    trace = _call("GET", _path(uid))
    if as_json:
        _print_json(trace)
        return
    from lakehouse_cli import pathway_tables

    pathway_tables.print_trace(trace)


@pathway.command()
def history(uid: UidArgument, as_json: JsonOption = False) -> None:
    """Show a trace and what it revises, back to the first, with all that was said of them."""
    answer = _call("GET", f"{_path(uid)}/history")
    if as_json:
        _print_json(answer)
        return
    from lakehouse_cli import pathway_tables

    pathway_tables.print_history(answer)


@pathway.command()
def update(  # noqa: PLR0917 - Typer passes all by name
    uid: UidArgument,
    content: ContentArgument = None,
    file: FileOption = "",
    text: TextOption = False,
    tag: TagOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replace what a trace says; its history keeps what it said before. Without `--tag` its tags stay."""
    written = _write("update", content_json(content, file, is_text=text), uid=uid, tags=tag)
    _tell(written, f"updated {uid}", as_json=as_json)


@pathway.command()
def revise(  # noqa: PLR0917 - Typer passes all by name
    uid: Annotated[str, typer.Argument(help="Uid of the trace that it is better than.")],
    content: ContentArgument = None,
    file: FileOption = "",
    text: TextOption = False,
    tag: TagOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remember a better version of a trace as a new one; search finds it in the other's place."""
    written = _write("revise", content_json(content, file, is_text=text), predecessor_uid=uid, tags=tag)
    _tell(written, f"added {written['uid']}, which revises {uid}", as_json=as_json)


@pathway.command()
def retire(
    uid: UidArgument,
    reason: Annotated[str, typer.Argument(help="Why nobody should follow it any more.")],
    as_json: JsonOption = False,
) -> None:
    """Take a trace out of searches, with the reason; it stays readable."""
    sent = json.dumps({"uid": uid, "reason": reason}).encode()
    written = _call("POST", "retire", content=sent, headers={"Content-Type": "application/json"})
    _tell(written, f"retired {uid}", as_json=as_json)


@pathway.command()
def stats(as_json: JsonOption = False) -> None:
    """Say how much is remembered, and how much of what came was known already."""
    answer = _call("GET", "stats")
    if as_json:
        _print_json(answer)
        return
    from lakehouse_cli import pathway_tables

    pathway_tables.print_stats(answer)


def _write(route: str, content: str, **fields: Any) -> Any:
    body = request_body(content, **fields)
    return _call("POST", route, content=body, headers={"Content-Type": "application/json"})


def _call(method: str, path: str, **request: Any) -> Any:
    from lakehouse_cli.client import connect_api
    from lakehouse_cli.reading_settings import read_settings

    with connect_api(read_settings()) as api:
        return api.json(method, f"/v1/pathway/{path}", **request)


def _path(uid: str) -> str:
    """A uid in a path; routes and dots are none."""
    if uid in ("", ".", "..", "stats"):
        raise typer.BadParameter(f"{uid!r} is not a uid of a trace", param_hint="UID")
    return quote(uid, safe="", errors="replace")


def _time(text: str) -> str | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time; such as 2026-05-04T09:30Z", param_hint="--since") from None


def _why(written: dict[str, Any]) -> str:
    reasons = {"exact": "it says the same", "near": "it says nearly the same", "recalled": "a search gave it"}
    return f" ({reasons[written['link']]})" if written["link"] else f" ({counted(written['replay_count'], 'time')})"


def _tell(answer: Any, line: str, *, as_json: bool) -> None:
    if as_json:
        _print_json(answer)
    else:
        typer.echo(line)


def _print_json(answer: Any) -> None:
    typer.echo(json.dumps(answer, indent=2))
