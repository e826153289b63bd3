"""Plain requests of hot routes pass all layers in one step: the answer, the log line and the count are as always."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse_api.hot_routes import HOT
from tests.api import RunningApi, api_settings, call, running_api
from tests.servers import StoreServer

pytestmark = pytest.mark.anyio
VALIDATE = b"/v1/validate"
GOOD = {"kind": "sms", "artifact": {"to": "+14155550132", "body": "Shift on Monday. Reply YES."}, "context": {}}
LONG = {**GOOD, "artifact": {"to": "+14155550132", "body": "x" * 161}}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    yield store_process.objects(bucket="quick")
    store_process.drop_bucket("quick")


@pytest.fixture(scope="module")
async def api(store: S3ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningApi]:
    folder: Path = tmp_path_factory.mktemp("quick")
    tokens = folder / "tokens.json"
    digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"  # of `test`
    tokens.write_text(json.dumps([{"name": "writer", "token_sha256": digest, "scopes": ["write"]}]))
    tokens.chmod(0o600)
    settings = api_settings(store, folder, tokens_file=tokens)
    async with running_api(settings) as running:
        yield running


def same(one: bytes, other: bytes) -> bool:
    """Whether two answers say the same, but for what is of the request alone."""
    documents: list[dict[str, Any]] = [json.loads(one), json.loads(other)]
    for document in documents:
        document.pop("request_id", None)
        document.pop("elapsed_ms", None)
    return documents[0] == documents[1]


@pytest.mark.parametrize(
    ("status", "path", "body", "headers"),
    [
        (200, VALIDATE, json.dumps(GOOD).encode(), {}),
        (422, VALIDATE, json.dumps(LONG).encode(), {}),
        (422, VALIDATE, json.dumps(LONG).encode(), {"accept": "application/vnd.lakehouse.flat+json"}),
        (400, VALIDATE, b"{", {}),
        (400, VALIDATE, json.dumps({**GOOD, "more": 1}).encode(), {}),
        (401, VALIDATE, json.dumps(GOOD).encode(), {"authorization": "Bearer wrong"}),
        (403, VALIDATE, json.dumps(GOOD).encode(), {"authorization": "Bearer test"}),
        (403, VALIDATE, json.dumps(GOOD).encode(), {"host": "elsewhere.example"}),
        (404, b"/v1/matrix/search", json.dumps({"query": "nurse", "corpora": ["none"]}).encode(), {}),
        (400, b"/v1/matrix/playbooks/record", json.dumps({"query": " ", "answer_id": "1"}).encode(), {}),
    ],
)
async def test_what_is_plain_is_answered_and_logged_as_what_is_not(
    api: RunningApi, status: int, path: bytes, body: bytes, headers: dict[str, str]
) -> None:
    lines = api.services.events.lines  # type: ignore[attr-defined]
    found = []
    for more in ({"content-length": str(len(body))}, {"transfer-encoding": "chunked"}):
        begun = len(lines)
        answered, sent, document = await call(
            api.app, "POST", path, headers={**more, "x-request-id": "one", "x-task-id": "task", **headers}, body=body
        )
        kept = [(stream, {k: v for k, v in line.items() if k not in CHANGING}) for stream, line in lines[begun:]]
        found.append((answered, document, kept, {k: v for k, v in sent.items() if k != "content-length"}))
    quick, layered = found
    assert quick[0] == layered[0] == status
    assert same(quick[1], layered[1])
    assert quick[2] == layered[2]
    assert len(quick[2]) == 1
    assert quick[3] == layered[3]
    assert quick[3]["x-request-id"] == "one"
    assert quick[3]["x-content-type-options"] == "nosniff"


CHANGING = ("run_id", "elapsed_ms", "latency_ms")


async def test_a_body_beyond_the_limit_is_413_as_ever(api: RunningApi) -> None:
    status, _, _ = await call(api.app, "POST", VALIDATE, headers={"content-length": str(2 << 20)}, body=b"{}")
    assert status == 413


async def test_requests_are_counted_under_their_route(api: RunningApi) -> None:
    body = json.dumps(GOOD).encode()
    await call(api.app, "POST", VALIDATE, headers={"content-length": str(len(body))}, body=body)
    series = 'lakehouse_http_request_seconds_count{method="POST",route="/v1/validate",status="200"}'
    assert series in api.services.metrics.render().decode()
    assert b"lakehouse_http_in_flight 0.0" in api.services.metrics.render()


def test_routes_with_a_name_in_their_path_are_not_plain() -> None:
    assert HOT.plain("/v1/validate") is not None
    assert HOT.plain("/v1/vectors/index/one/search") is None
    assert HOT.plain("/v1/catalog") is None
