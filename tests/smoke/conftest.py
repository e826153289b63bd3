"""One stack for all smokes: the store, an API process, and commands in this process on the same bucket."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.sample.workers import write_workers
from lakehouse_cli.main import app
from tests.api import ApiProcess, api_environ, clean_environ
from tests.fakes.chat_endpoint import ChatEndpointServer, Reply, chat_endpoint, completion
from tests.integration.test_scored_assets import put, trajectory
from tests.integration.test_triage import call, judged
from tests.servers import StoreServer
from tests.tokens import write_tokens_file
from tests.unit.test_review import ANALYSIS, BLOCK, DIFF

WORKERS = 300
DAY = date(2026, 3, 1)


@dataclass
class Stack:
    """A running platform; `environ` is that of its commands."""

    api: ApiProcess
    http: httpx.Client
    objects: S3ObjectStore
    folder: Path
    environ: dict[str, str]
    tokens: dict[str, str]

    def ask(self, method: str, path: str, *, status: int = 200, **request: Any) -> Any:
        """Ask a route for JSON."""
        answer = self.http.request(method, path, **request)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def sql(self, sql: str) -> list[list[Any]]:
        """Rows of a query."""
        rows: list[list[Any]] = self.ask("POST", "/v1/sql", json={"sql": sql})["rows"]
        return rows

    def command(self, *arguments: str, exit_code: int = 0) -> str:
        """What a command prints, run in this process: a new one for each would take a second."""
        with contextlib.chdir(self.folder):
            done = CliRunner().invoke(app, list(arguments), env=self.environ)
        assert done.exit_code == exit_code, done.output
        return str(done.stdout)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[ChatEndpointServer]:
    """A provider of models for what asks several: reviews and replays."""
    with chat_endpoint() as server:
        server.by_model = {
            "openai/gpt-4o": Reply(document=completion(f"{ANALYSIS}{BLOCK}VERDICT: reject")),
            "moonshotai/kimi-k2": Reply(document=completion(BLOCK)),
            "cold": Reply(document=completion("Nobody.")),
            "warm": Reply(document=completion("It is Maria Lopez (id 100).")),
        }
        yield server


@pytest.fixture(scope="session")
def stack(
    store_process: StoreServer, endpoint: ChatEndpointServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A platform with 300 workers, a corpus of four and a day of runs."""
    folder = tmp_path_factory.mktemp("smoke")
    objects = store_process.objects(bucket="smoke")
    providers = {
        "openrouter": {"url": endpoint.url, "is_key_needed": False},
        "ollama": {"url": endpoint.url, "is_key_needed": False},
    }
    environ = api_environ(
        objects, folder / "data", default_embedder="static", playbook_embedder="static", pathway_embedder="static",
        chat_providers=json.dumps(providers), chat_attempts=1, spool_part_age_s=1,
        tokens_file=write_tokens_file(folder / "tokens.json", reader=["read"]),
    )  # fmt: skip
    api = ApiProcess(environ, folder / "api.log", is_forked=True)
    api.start()
    commands = {**clean_environ(), **environ, "LAKEHOUSE_API_PORT": str(api.port), "COLUMNS": "200"}
    try:
        with api.client() as http:
            made = Stack(api, http, objects, folder, commands, {"reader": "reader"})
            _fill(made)
            yield made
    finally:
        api.stop()


def _fill(stack: Stack) -> None:
    write_workers(stack.folder / "workers.csv", WORKERS)
    (stack.folder / "pay.diff").write_text(DIFF)
    with (stack.folder / "workers.csv").open("rb") as file:
        stack.ask("POST", "/v1/ingest?name=workers", status=201, files={"file": file})
    stack.ask("POST", "/v1/vectors/index", status=201, json={"name": "crew", "embedder": "static"})
    items = [
        {"id": "100", "text": "Electrician in Columbus, Ohio", "metadata": {"name": "Maria Lopez", "state": "OH"}},
        {"id": "101", "text": "Forklift Operator in Toledo, Ohio", "metadata": {"name": "James Carter", "state": "OH"}},
        {"id": "102", "text": "Welder in Austin, Texas", "metadata": {"name": "Aisha Khan", "state": "TX"}},
        {"id": "103", "text": "Line Cook in Dallas, Texas", "metadata": {"name": "Peter Novak", "state": "TX"}},
    ]
    assert stack.ask("POST", "/v1/vectors/index/crew/add", json={"items": items})["added"] == 4
    put(stack.objects, "agent_trajectories", DAY, [trajectory(n, DAY, reward=float(n % 2)) for n in range(8)])
    asked = call("draft", "Who can start on Monday in Toledo?", "Nobody can start on Monday, try another week.")
    put(stack.objects, "chat_calls", DAY, [asked])
    put(stack.objects, "reviews", DAY, [judged("draft", "cycle", "gpt-4o")])
