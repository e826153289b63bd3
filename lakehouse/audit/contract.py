"""The contract that a live API is held against: its routes, and what some harmless requests must come back with.

Belongs here: reading `contract.yaml`, judging an OpenAPI document and an answer. Not here: asking (see
lakehouse/adapters/audit_full_contracts.py), what each route means (see docs/guides/api.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import orjson
import yaml

PROBLEM = "application/problem+json"
_PARAMETER = re.compile(r"\{[^}]*\}")
_METHODS = frozenset({"get", "put", "post", "delete", "patch"})
_PROBLEM_FIELDS = ("title", "status", "detail")


@dataclass(frozen=True, slots=True)
class ApiAddress:
    """Where a live API is asked, and with which token; None: it takes requests without one."""

    url: str
    token: str | None


@dataclass(frozen=True, slots=True)
class Probe:
    """One request and what must come back.

    Attributes:
        name: What is looked at.
        method: Of the request.
        path: Of the request.
        status: What must come back.
        body: Sent as JSON, or None.
        text: Sent as it is, or None.
        is_open: Whether it goes without the token.
        is_problem: Whether the answer must be a problem document.
        has: Fields that the answer must have.
    """

    name: str
    method: str
    path: str
    status: int
    body: Any = None
    text: str | None = None
    is_open: bool = False
    is_problem: bool = False
    has: tuple[str, ...] = ()


@cache
def _document() -> Mapping[str, Any]:
    text = files("lakehouse.audit").joinpath("contract.yaml").read_text(encoding="utf-8")
    document: Mapping[str, Any] = yaml.safe_load(text)
    return document


def routes() -> list[str]:
    """The routes of the contract as `METHOD /path/{}`; parameters have no names."""
    return [
        f"{method} {path}" for line in _document()["routes"] for methods, path in [line.split(" ")]
        for method in methods.split("|")
    ]  # fmt: skip


def probes(unique: str) -> list[Probe]:
    """The requests.

    Args:
        unique: An id of nothing that is there; a name that nothing has is made of it.
    """
    return [
        _probe(one, {"{id}": unique, "{name}": f"absent_{unique.replace('-', '')}"}) for one in _document()["probes"]
    ]


def _probe(said: Mapping[str, Any], fill: Mapping[str, str]) -> Probe:
    text = orjson.dumps(dict(said)).decode()
    for sign, value in fill.items():
        text = text.replace(sign, value)
    one = orjson.loads(text)
    method, path = one.pop("call").split(" ")
    return Probe(method=method, path=path, **{**one, "has": tuple(one.get("has", ()))})


def routes_of(openapi: Mapping[str, Any]) -> set[str]:
    """The routes of an OpenAPI document, in the form of `routes`."""
    return {
        f"{method.upper()} {_PARAMETER.sub('{}', path)}"
        for path, operations in openapi.get("paths", {}).items()
        for method in operations
        if method in _METHODS
    }


def faults_of(probe: Probe, *, status: int, media_type: str, body: bytes) -> Iterator[str]:
    """What is wrong with an answer.

    Args:
        probe: What was asked.
        status: What came back.
        media_type: Its media type, without parameters.
        body: Its bytes.
    """
    asked = f"{probe.method} {probe.path}"
    if status != probe.status:
        yield f"{probe.name}: {asked} answers {status}, not {probe.status}"
        return
    if probe.is_problem and media_type != PROBLEM:
        yield f"{probe.name}: {asked} answers {media_type or 'no media type'}, not {PROBLEM}"
    wanted = (*probe.has, *(_PROBLEM_FIELDS if probe.is_problem else ()))
    if not wanted:
        return
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        yield f"{probe.name}: {asked} answers no JSON object"
    elif missing := [name for name in wanted if name not in document]:
        yield f"{probe.name}: {asked} answers without {', '.join(missing)}"
