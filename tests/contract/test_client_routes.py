"""The Python clients cover the whole API: every route of openapi.json has a call, or a reason why it has none."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakehouse.client import AsyncClient, Client, ClientError, RetryPolicy

ROOT = Path(__file__).resolve().parents[2]
EXCEPTIONS = {
    ("get", "/metrics"): "text for Prometheus, which scrapes it",
    ("post", "/v1/chat/completions"): "OpenAI's form of `chat`, for OpenAI's own client",
    ("post", "/v1/embeddings"): "OpenAI's form of `embed`, for OpenAI's own client",
    ("get", "/v1/models/{model}"): "OpenAI's form of one entry of `models`, for OpenAI's own client",
}
# What a call needs at least, by the name of the parameter.
GIVEN: dict[str, Any] = {
    "name": "people", "columns": [], "keys": ["files/a"], "query": "SELECT 1", "corpora": "people", "answer_id": "a",
    "records": [], "playbook_id": "p", "score": 1, "items": [], "ids": ["a"], "texts": ["a"], "messages": "a",
    "task": "a", "kind": "sms", "artifact": {}, "content": "a", "uid": "u", "predecessor_uid": "u", "reason": "why",
    "key": "files/a", "source": b"a", "of": "a", "why": "known", "workflow": "facts", "reporter": "a",
    "run_id": "r", "item_id": "0" * 32, "decision": "accept", "version": 1,
}  # fmt: skip
# Calls that go to another route with another argument.
VARIANTS: dict[str, list[dict[str, Any]]] = {"pathway.add": [{"key": "k"}]}


def routes() -> set[tuple[str, str]]:
    paths = json.loads((ROOT / "docs" / "reference" / "openapi.json").read_text())["paths"]
    return {(method, path) for path, methods in paths.items() for method in methods}


def route_of(method: str, path: str) -> tuple[str, str] | None:
    """The route that answers a request: of several that match, the one with the fewest parameters."""
    found = [
        (template.count("{"), name, template)
        for name, template in routes()
        if name == method and re.fullmatch(re.sub(r"\\{(\w+)\\}", _pattern, re.escape(template)), path)
    ]
    return min(found)[1:] if found else None


def _pattern(match: re.Match[str]) -> str:
    return ".+" if match[1] == "key" else "[^/]+"


def calls(client: object) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public method, those of groups with the group's name."""
    for group, member in [("", client), *((f"{n}.", m) for n, m in vars(client).items() if not n.startswith("_"))]:
        for name in dir(type(member)):
            if not name.startswith("_") and name not in ("close", "aclose"):
                yield f"{group}{name}", getattr(member, name)


def arguments(call: Callable[..., Any], folder: Path) -> dict[str, Any]:
    given = GIVEN | {"file": folder / "a.csv", "to": folder / "copy"}
    needed = [p.name for p in inspect.signature(call).parameters.values() if p.default is p.empty]
    assert set(needed) <= set(given), f"say in GIVEN what {call} takes as {set(needed) - set(given)}"
    return {name: given[name] for name in needed}


def variants(name: str, call: Callable[..., Any], folder: Path) -> list[dict[str, Any]]:
    needed = arguments(call, folder)
    return [needed, *(needed | more for more in VARIANTS.get(name, []))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.csv").write_text("a\n1\n")
    return tmp_path


class Asked:
    """The requests that were made; each is refused."""

    def __init__(self) -> None:
        self.routes: list[tuple[str, str]] = []

    def refuse(self, request: httpx.Request) -> httpx.Response:
        self.routes.append((request.method.lower(), request.url.path))
        return httpx.Response(418, json={"detail": "noted"})


def sync_routes(folder: Path) -> set[tuple[str, str] | None]:
    asked = Asked()
    transport = httpx.MockTransport(asked.refuse)
    with Client("http://lake", transport=transport, retry=RetryPolicy(attempts=1)) as client:
        for name, call in calls(client):
            for given in variants(name, call, folder):
                before = len(asked.routes)
                with pytest.raises(ClientError):
                    list(call(**given))
                assert len(asked.routes) == before + 1, name
    return {route_of(*one) for one in asked.routes}


async def async_routes(folder: Path) -> set[tuple[str, str] | None]:
    asked = Asked()
    transport = httpx.MockTransport(asked.refuse)
    async with AsyncClient("http://lake", transport=transport, retry=RetryPolicy(attempts=1)) as client:
        for name, call in calls(client):
            for given in variants(name, call, folder):
                answer = call(**given)
                with pytest.raises(ClientError):
                    await (anext(answer) if inspect.isasyncgen(answer) else answer)
    return {route_of(*one) for one in asked.routes}


def test_every_route_has_a_call_or_a_reason(folder: Path) -> None:
    covered = sync_routes(folder)
    assert None not in covered, "a call asks for a route that is not there"
    assert routes() - covered - EXCEPTIONS.keys() == set(), "add a call to lakehouse/client, or an exception here"
    assert EXCEPTIONS.keys() - routes() == set(), "exceptions that are no route any more"
    assert EXCEPTIONS.keys() & covered == set(), "exceptions that have a call by now"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_both_clients_have_the_same_calls(folder: Path) -> None:
    assert await async_routes(folder) == sync_routes(folder)
    one, other = Client("http://lake"), AsyncClient("http://lake")
    expected = {name: inspect.signature(call) for name, call in calls(one)}
    found = {name: inspect.signature(call) for name, call in calls(other)}
    assert found.keys() == expected.keys()
    for name, signature in expected.items():
        assert list(found[name].parameters) == list(signature.parameters), name
    one.close()
    await other.aclose()
