"""Commands for models: chat, answer, models.

Belongs here: options and output. Not here: HTTP (see client.py), the loop (see lakehouse/answer).
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from lakehouse.counted import counted
from lakehouse_cli.process_commands import JsonOption

ModelOption = Annotated[
    str | None, typer.Option("--model", "-m", help="provider/name, or a bare name; default: the platform's.")
]
MaxTokensOption = Annotated[int | None, typer.Option(min=1, help="Most tokens of the answer.")]


models = typer.Typer(help="Models: which can be asked, whose they are, what they have used.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(chat)
    app.command()(answer)
    app.add_typer(models, name="models")


def chat(
    prompt: Annotated[str, typer.Argument(help="What to ask.")],
    model: ModelOption = None,
    system: Annotated[str, typer.Option(help="The system prompt.")] = "",
    max_tokens: MaxTokensOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a model."""
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": prompt})
    said = _call("POST", "/v1/chat", json=_given(messages=messages, model=model, max_tokens=max_tokens), timeout=None)
    typer.echo(json.dumps(said, indent=2) if as_json else said["content"])


def answer(
    task: Annotated[str, typer.Argument(help="What is to be answered.")],
    corpus: Annotated[list[str] | None, typer.Option("--corpus", "-c", help="Where to look; may be repeated.")] = None,
    model: ModelOption = None,
    max_tokens: MaxTokensOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a task from what is found; exits with 1 when the answer is refused."""
    body = _given(task=task, corpora=corpus or [], model=model, max_tokens=max_tokens)
    reply = _call("POST", "/v1/answer", json=body, timeout=None)
    if as_json:
        typer.echo(json.dumps(reply, indent=2))
    else:
        _print_answer(reply)
    if reply["answer"] is None:
        raise typer.Exit(1)


@models.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """List the models that can be asked, by the names to ask them by."""
    listed = _call("GET", "/v1/models")
    if as_json:
        typer.echo(json.dumps(listed, indent=2))
        return
    for one in listed["data"]:
        typer.echo(one["id"])


@models.command()
def providers(as_json: JsonOption = False) -> None:
    """List the chat providers: set up or not, reachable or not."""
    states = _call("GET", "/v1/chat/providers")
    if as_json:
        typer.echo(json.dumps(states, indent=2))
        return
    words = {True: "reachable", False: "not reachable", None: "not set up"}
    for one in states["providers"]:
        why = f": {one['last_error']}" if one["last_error"] else ""
        typer.echo(f"{one['name']:<14}{words[one['reachable']]:<15}{counted(one['models'], 'model'):>11}{why}")


@models.command()
def usage(as_json: JsonOption = False) -> None:
    """Say what chat has used, and the share that went to frontier models."""
    report = _call("GET", "/v1/chat/usage")
    if as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    for name in ("today", "total"):
        spent = report[name]
        typer.echo(
            f"{name:<6} {counted(spent['calls'], 'call'):>14}  {counted(spent['prompt_tokens'], 'token'):>19} in"
            f"  {spent['completion_tokens']:>12,} out  {spent['cost_usd']:>10.4f} USD"
            f"  frontier {spent['frontier_share_of_calls']:.1%} of calls, {spent['frontier_share_of_cost']:.1%} of cost"
        )
    for role, spent in report["by_role"].items():
        typer.echo(f"  {role:<14} {counted(spent['calls'], 'call'):>14}  {spent['cost_usd']:>10.4f} USD")


def _print_answer(reply: dict[str, Any]) -> None:
    if reply["answer"] is None:
        (kind, error), *_ = reply["validation"]["error"].items()
        typer.echo(f"refused ({kind}): {error['reason']}", err=True)
    else:
        typer.echo(reply["answer"])
    cited = ", ".join(f"{one['corpus']}/{one['id']}{'*' if one['used'] else ''}" for one in reply["citations"])
    if reply["downgraded"]:
        typer.echo("records that are hardly relevant were held back: the model counts as a strong one", err=True)
    typer.echo(f"\nshown: {cited or 'nothing'}   (* named in the answer)\ntrace: {reply['trace_id']}", err=True)


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _call(method: str, path: str, **request: Any) -> Any:
    from lakehouse_cli.client import connect_api
    from lakehouse_cli.reading_settings import read_settings

    with connect_api(read_settings()) as api:
        return api.json(method, path, **request)
