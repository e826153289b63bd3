"""Commands for retrieval: search, playbook, index.

Belongs here: options and output. Not here: HTTP (see client.py), building corpora (see corpus_commands.py).
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from lakehouse.counted import counted
from lakehouse_cli.process_commands import JsonOption

playbook = typer.Typer(help="Answers that worked or failed: record, judge, list, forget.", no_args_is_help=True)
index = typer.Typer(help="Indexes of vectors and texts: list, make, drop, mend.", no_args_is_help=True)


class SearchMode(StrEnum):
    """How a search compares: by meaning, by words, by both."""

    VECTOR = "vector"
    TEXT = "text"
    HYBRID = "hybrid"


class _Use(StrEnum):
    AUTO = "auto"
    YES = "yes"
    NO = "no"


_WIRE: dict[_Use, bool | str] = {_Use.AUTO: "auto", _Use.YES: True, _Use.NO: False}


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(search)
    app.add_typer(playbook, name="playbook")
    app.add_typer(index, name="index")


def search(  # noqa: PLR0917 - Typer passes all by name
    query: Annotated[str, typer.Argument(help="What to look for.")],
    corpus: Annotated[list[str], typer.Option("--corpus", "-c", help="A corpus; name several to search together.")],
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="Most results.")] = 10,
    filter_json: Annotated[str, typer.Option("--filter", help='Metadata filter, as JSON: {"state": "OH"}.')] = "",
    sql_filter: Annotated[str, typer.Option(help="A boolean SQL expression over the corpus's dataset.")] = "",
    mode: Annotated[SearchMode | None, typer.Option(help="Default: the live config's.")] = None,
    use_playbook: Annotated[_Use, typer.Option("--playbook", help="Let what worked before lift results.")] = _Use.AUTO,
    as_json: JsonOption = False,
) -> None:
    """Search corpora together."""
    body: dict[str, Any] = {"query": query, "corpora": corpus, "k": k, "use_playbook": _WIRE[use_playbook]}
    if filter_json:
        body["filter"] = _parse(filter_json, "--filter")
    if sql_filter:
        body["sql_filter"] = sql_filter
    if mode is not None:
        body["mode"] = mode.value
    answer = _call("POST", "/v1/matrix/search", json=body)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    from lakehouse_cli import search_tables

    search_tables.print_results(answer)


@playbook.command("record")
def record_playbook(  # noqa: PLR0917 - Typer passes all by name
    query: Annotated[str, typer.Argument(help="The query.")],
    answer_id: Annotated[str, typer.Argument(help="Id of the answer that worked or failed.")],
    corpus: Annotated[
        str | None, typer.Option("--corpus", "-c", help="The answer's corpus; any when left out.")
    ] = None,
    score: Annotated[float, typer.Option(min=-1, max=1, help="-1 failed, 1 worked.")] = 1.0,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be given several times.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Record that an answer worked (or failed) for a query; the next search knows it."""
    body = {"query": query, "answer_id": answer_id, "answer_corpus": corpus, "score": score, "tags": tag or []}
    answer = _call("POST", "/v1/matrix/playbooks/record", json=body)
    _tell(answer, f"{'added to' if answer['merged'] else 'recorded'} {answer['playbook_id']}", as_json=as_json)


@playbook.command("feedback", context_settings={"ignore_unknown_options": True})  # a score may be -1
def judge_playbook(
    playbook_id: Annotated[str, typer.Argument(help="Id of the entry.")],
    score: Annotated[float, typer.Argument(min=-1, max=1, help="-1 failed, 1 worked.")],
    as_json: JsonOption = False,
) -> None:
    """Judge an entry."""
    answer = _call("POST", "/v1/matrix/playbooks/feedback", json={"playbook_id": playbook_id, "score": score})
    _tell(answer, f"judged {playbook_id}", as_json=as_json)


@playbook.command("list")
def list_playbooks(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most entries.")] = 100, as_json: JsonOption = False
) -> None:
    """List entries with their evidence."""
    answer = _call("GET", "/v1/matrix/playbooks", params={"limit": limit})
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    from lakehouse_cli import search_tables

    search_tables.print_playbooks(answer)


@playbook.command("delete")
def delete_playbook(
    playbook_id: Annotated[str, typer.Argument(help="Id of the entry.")], as_json: JsonOption = False
) -> None:
    """Forget an entry, for good."""
    _call("DELETE", f"/v1/matrix/playbooks/{playbook_id}")
    _tell({"playbook_id": playbook_id, "deleted": True}, f"forgot {playbook_id}", as_json=as_json)


@index.command("list")
def list_indexes(as_json: JsonOption = False) -> None:
    """List indexes and corpora: shape, rows, how they are held."""
    answer = _call("GET", "/v1/vectors/index")
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    from lakehouse_cli import search_tables

    search_tables.print_indexes(answer)


@index.command("create")
def create_index(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and _, a letter first; at most 63.")],
    dimension: Annotated[int | None, typer.Option(min=1, max=8192, help="Default: the embedder's.")] = None,
    distance: Annotated[str, typer.Option(help="cosine, l2 or dot.")] = "cosine",
    embedder: Annotated[str | None, typer.Option(help="minilm, static, or an endpoint's name.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make an index."""
    body = {"name": name, "dimension": dimension, "distance": distance, "embedder": embedder}
    answer = _call("POST", "/v1/vectors/index", json={k: v for k, v in body.items() if v is not None})
    shape = f"{counted(answer['dimension'], 'dimension')}, {answer['distance']}, texts by {answer['embedder']}"
    _tell(answer, f"{name}: {shape}", as_json=as_json)


@index.command("drop")
def drop_index(
    name: Annotated[str, typer.Argument(help="The index.")],
    yes: Annotated[bool, typer.Option("--yes", help="Drop a declared corpus, too, without asking.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Drop an index; its files stay until `gc`. Of a corpus that is declared it asks first: it would come back."""
    file = None if yes else _declaration_of(name)
    if file is not None:
        _call("GET", f"/v1/vectors/index/{name}")  # nothing is asked about one that is not there
        question = f"{name} is declared in {file}, and the next build makes it again (--yes: no question). Drop it?"
        typer.confirm(question, abort=True, err=True)
    _call("DELETE", f"/v1/vectors/index/{name}")
    _tell({"name": name, "deleted": True}, f"dropped {name}", as_json=as_json)


@index.command("rebuild")
def rebuild_index(
    name: Annotated[str, typer.Argument(help="An index, a corpus, `playbooks` or `pathways`.")],
    as_json: JsonOption = False,
) -> None:
    """Mend a damaged table from what is left: its dataset, its rows that can be read, the memory log."""
    from lakehouse_cli.index_rebuild import rebuild
    from lakehouse_cli.reading_settings import read_settings

    done = []
    for line, document in rebuild(read_settings(), name):
        done.append(document)
        if not as_json:
            typer.echo(line)
    if as_json:
        typer.echo(json.dumps(done, indent=2))


def _tell(document: Any, line: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(document, indent=2) if as_json else line)


def _declaration_of(name: str) -> Path | None:
    """The file that declares a corpus, well or badly."""
    from lakehouse.adapters.corpus_files import read_folder
    from lakehouse_cli.reading_settings import read_settings

    return next((d.file for d in read_folder(read_settings().corpora_dir) if d.name == name), None)


def _call(method: str, path: str, **request: Any) -> Any:
    from lakehouse_cli.client import connect_api
    from lakehouse_cli.reading_settings import read_settings

    with connect_api(read_settings()) as api:
        return api.json(method, path, **request)


def _parse(text: str, option: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"is not JSON: {error}", param_hint=option) from None
