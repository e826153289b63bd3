"""What the API refuses, in the terms of the command: `--max-rows` for `max_rows`, `lakehouse datasets` for a route.

Belongs here: `in_own_terms`, pure. Not here: asking the API (see client.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from lakehouse.ingest.ways_out import UTF_16

# Parameters of the API that commands call by another name.
_CALLED = {"corpora": "corpus", "answer_corpus": "corpus", "tags": "tag", "predecessor_uid": "uid", "sql": "query"}
# Routes that a refusal leads to, and the commands that show the same.
_COMMANDS = {
    "GET /v1/catalog": "lakehouse datasets",
    "GET /v1/vectors/index": "lakehouse index list",
    "GET /v1/matrix/playbooks": "lakehouse playbook list",
    "POST /v1/pathway/search": "lakehouse pathway search",
    "GET /v1/triage": "lakehouse triage list",
}
# A name with an underscore means the parameter wherever it stands, as no other word of a message has one.
_ONLY_A_NAME = re.compile(r"[a-z]+(?:_[a-z]+)+")


def command_of(group: TyperGroup, arguments: Sequence[str]) -> TyperCommand | TyperGroup:
    """The command that arguments name; a group where they name none of its commands."""
    command: TyperCommand | TyperGroup = group
    for argument in arguments:
        found = command.commands.get(argument) if isinstance(command, TyperGroup) else None
        if isinstance(found, TyperCommand | TyperGroup):
            command = found
    return command


def terms_of(command: TyperCommand | TyperGroup) -> dict[str, str]:
    """The API's names of parameters, each with what a command calls it: an option, or an argument in capitals."""
    named = dict(_names_of(command))
    return named | {name: named[own] for name, own in _CALLED.items() if own in named and name not in named}


def in_own_terms(detail: str, terms: Mapping[str, str], fields: Mapping[str, Any]) -> str:
    """Say what the API refused with the names that were typed.

    Args:
        detail: What it says.
        terms: As `terms_of` gives them.
        fields: Of its problem document; `option`, `field` or `param` name what it is about.
    """
    about = {str(fields[name]) for name in ("option", "field", "param") if fields.get(name)}
    for name, term in terms.items():
        detail = _said(detail, re.escape(name), term, is_about=name in about)
    if "encoding" in terms:
        detail = detail.replace(UTF_16, f"state it with {terms['encoding']} utf-16")
    for route, command in _COMMANDS.items():
        detail = re.sub(rf"{re.escape(route)}(?![/\w])", f"`{command}`", detail)
    return re.sub(r"\bsend (?=-)", "give ", detail)


def _names_of(command: TyperCommand | TyperGroup) -> Iterator[tuple[str, str]]:
    for param in command.params:
        if isinstance(param, TyperArgument):
            yield str(param.name), (param.metavar or str(param.name)).upper()
            continue
        if not isinstance(param, TyperOption):
            continue
        longest = max(param.opts, key=len)
        # `--format` may be `output` in the program, and is `format` to the API.
        yield str(param.name), longest
        yield longest.lstrip("-").replace("-", "_"), longest


def _said(detail: str, name: str, term: str, *, is_about: bool) -> str:
    """One parameter: as a field of the body or the query, as `name=value`, as JSON, in backticks, or bare."""
    detail = re.sub(rf"(?<![\w.])(?:body|query|path)\.{name}\b", term, detail)
    detail = re.sub(rf"`\$\.{name}\b[^`]*`", term, detail)
    detail = re.sub(rf"(?<![\w.'\"-]){name}=true\b", term, detail)
    detail = re.sub(rf"(?<![\w.'\"-]){name}=(?=[\w-])", f"{term} ", detail)
    detail = re.sub(rf"(?<![\w.'\"-]){name}=(?!\w)", term, detail)
    detail = re.sub(rf"\"{name}\": \"([\w-]+)\"", rf"{term} \1", detail)
    detail = re.sub(rf"`{name}`", term, detail)
    detail = re.sub(rf"\b(use|send) {name}(?=$|[;,.])", rf"\1 {term}", detail)
    behind = r"(?![\w-])" if is_about else r"(?= is | must |\[|\.[a-z])"
    detail = re.sub(rf"^{name}{behind}", term, detail)
    if _ONLY_A_NAME.fullmatch(name):
        detail = re.sub(rf"(?<![\w'\"./-]){name}(?![\w'\"=/])", term, detail)
    return detail
