"""The command `validate`: whether an artifact may be sent or used.

Belongs here: options, output, exit codes. Not here: HTTP (see client.py), the rules (see lakehouse/validation).
"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from lakehouse_cli.not_run import as_not_run
from lakehouse_cli.process_commands import JsonOption

EXIT_REFUSED = 1
_REQUEST = frozenset({"kind", "artifact", "context"})
_ERRORS = ("Schema", "Completeness", "Consistency", "Policy")


class _Kind(StrEnum):
    EMAIL = "email"
    SMS = "sms"
    FILL = "fill"
    PLAYBOOK = "playbook"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(validate)


def validate(
    file: Annotated[
        str, typer.Argument(help="JSON file: an artifact, or {kind, artifact, context}; `-` is stdin.")
    ] = "-",
    kind: Annotated[_Kind | None, typer.Option(help="What the artifact is; needed when the file does not say.")] = None,
    context: Annotated[str, typer.Option(help='What it is checked against, as JSON: {"allow_pay": true}.')] = "",
    as_json: JsonOption = False,
) -> None:
    """Validate an e-mail, an SMS, a fill or a playbook.

    Exit code 0: it passed; 1: it is refused; 3: it was not validated, since the API is away or cannot.
    """
    request = _request(_read(file), kind, context)
    with as_not_run():
        answer, error = _ask(request)
    if as_json:
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    elif error is None:
        typer.echo("passed")
        for finding in answer["findings"]:
            times = "" if finding["count"] == 1 else f" ({finding['count']} times)"
            typer.echo(f"note: {finding['field']}: {finding['reason']}{times} [{finding['rule']}]")
    else:
        said = answer[error]
        typer.echo(f"refused: {error}: {said['reason']}")
    if error is not None:
        raise typer.Exit(EXIT_REFUSED)


def _ask(request: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The body of the answer, and the kind of error in it."""
    from lakehouse_cli.client import ApiProblem, connect_api
    from lakehouse_cli.reading_settings import read_settings

    with connect_api(read_settings()) as api:
        try:
            # Escaped, so that what is no Unicode is the API's to refuse.
            sent = json.dumps(request).encode()
            return api.json("POST", "/v1/validate", content=sent, headers={"Content-Type": "application/json"}), None
        except ApiProblem as problem:
            error = next((name for name in _ERRORS if name in problem.fields), None)
            if problem.fields["status"] != 422 or error is None:
                raise
            return {error: problem.fields[error]}, error


def _request(document: Any, kind: _Kind | None, context: str) -> dict[str, Any]:
    """The request, from a file that holds it whole or the artifact alone; options win over the file."""
    is_whole = isinstance(document, dict) and "artifact" in document and set(document) <= _REQUEST
    request: dict[str, Any] = dict(document) if is_whole else {"artifact": document}
    if kind is not None:
        request["kind"] = kind.value
    if context:
        request["context"] = _parse(context, "--context")
    if "kind" not in request:
        raise typer.BadParameter("say what the artifact is: email, sms, fill or playbook", param_hint="--kind")
    return request


def _read(file: str) -> Any:
    path = Path(file)
    if file != "-" and not path.is_file():
        raise typer.BadParameter(f"{file!r} is not a file", param_hint="FILE")
    raw = sys.stdin.buffer.read() if file == "-" else path.read_bytes()
    try:
        return _parse(raw.decode("utf-8-sig"), "FILE")
    except UnicodeDecodeError:
        raise typer.BadParameter("is not UTF-8", param_hint="FILE") from None


def _parse(text: str, option: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"is not JSON: {error}", param_hint=option) from None
