"""An OpenAI-compatible endpoint that answers late, wrong or not at all."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from lakehouse.adapters.endpoint_embedder import EndpointEmbedder
from lakehouse.errors import BadInput, LakehouseError, TimedOut, Unavailable
from lakehouse.settings import load_settings
from lakehouse.settings_retrieval import EmbeddingEndpoint
from tests.fakes.embedders import FakeEmbedder
from tests.fakes.embedding_endpoint import EmbeddingServer, embedding_server
from tests.memory_logs import wait_until

KEY = "sk-very-secret"


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with embedding_server(FakeEmbedder(dimension=8)) as server:
        yield server


@contextlib.contextmanager
def opened(
    server: EmbeddingServer, *, timeout_s: float = 20, waits: list[float] | None = None, **endpoint: object
) -> Iterator[EndpointEmbedder]:
    given: dict[str, Any] = {"url": server.url, "model": "m", "dimension": 8, **endpoint}
    sleep: Callable[[float], None] = (waits if waits is not None else []).append
    embedder = EndpointEmbedder("home", EmbeddingEndpoint(**given), timeout_s=timeout_s, sleep=sleep, draw=lambda: 0.5)
    with contextlib.closing(embedder):
        yield embedder


def failure(embedder: EndpointEmbedder, kind: type[LakehouseError] = Unavailable) -> str:
    with pytest.raises(kind) as caught:
        embedder.embed(["text"])
    detail = caught.value.detail
    assert "embedding endpoint 'home'" in detail
    assert "127.0.0.1" not in detail
    assert "secret" not in detail
    return detail


def test_request_is_openais_with_the_key_of_its_variable(
    server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project")
    endpoints = {"home": {"url": server.url, "model": "m", "dimension": 8, "key_env": "HOME_KEY"}}
    environ = {"LAKEHOUSE_EMBEDDING_ENDPOINTS": json.dumps(endpoints), "HOME_KEY": KEY}
    endpoint = load_settings(environ, env_file=None).embedding_endpoints["home"]
    with contextlib.closing(EndpointEmbedder("home", endpoint, timeout_s=20)) as embedder:
        embedder.embed(["a", " ", "b"])
    expected = {"path": "/v1/embeddings", "input": ["a", "b"], "model": "m", "encoding_format": "float"}
    assert server.requests == [expected]
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert not {"openai-organization", "openai-project"} & set(server.headers[0])


def test_no_key_is_sent_where_none_is_set(server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    with opened(server) as embedder:
        embedder.embed(["a"])
    assert "authorization" not in server.headers[0]


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_busy_endpoint_is_asked_again(server: EmbeddingServer, status: int) -> None:
    waits: list[float] = []
    server.statuses = [(status, {}), (status, {"Retry-After": "3"})]
    with opened(server, waits=waits) as embedder:
        assert embedder.embed(["text"]).shape == (1, 8)
    assert len(server.requests) == 3
    assert waits == [0.625, 3.75]


def test_endpoint_that_stays_busy_is_given_up(server: EmbeddingServer) -> None:
    server.statuses = [(503, {})] * 9
    with opened(server) as embedder:
        assert "answered with status 503; try again later" in failure(embedder)
    assert len(server.requests) == 3


def test_wait_past_the_deadline_is_not_begun(server: EmbeddingServer) -> None:
    server.statuses = [(429, {"Retry-After": "60"})]
    with opened(server) as embedder:
        assert "status 429" in failure(embedder)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (400, BadInput, "refused the texts with status 400"),
        (413, BadInput, "too long for its model"),
        (401, Unavailable, "refused its key with status 401; see its `key_env` in LAKEHOUSE_EMBEDDING_ENDPOINTS"),
        (403, Unavailable, "`key_env`"),
        (404, Unavailable, "status 404; see its `url` and `model`"),
        (307, Unavailable, "status 307"),
    ],
)
def test_refusal_is_not_repeated(server: EmbeddingServer, status: int, kind: type[LakehouseError], words: str) -> None:
    server.statuses = [(status, {"Location": "http://127.0.0.1:1/"})]
    with opened(server, key_env="HOME_KEY", api_key=KEY) as embedder:
        assert words in failure(embedder, kind)
    assert len(server.requests) == 1


def change(**members: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def spoil(document: dict[str, Any]) -> dict[str, Any]:
        document["data"][0] |= members
        return document

    return spoil


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda document: document | {"data": []}, "no list of embeddings, one for each text"),
        (lambda document: document | {"data": document["data"] * 2}, "2 embeddings for 1 text"),
        (lambda document: {}, "no list of embeddings"),
        (lambda document: [document], "no list of embeddings"),
        (change(index=1), "no list of embeddings, one for each text"),
        (change(embedding=[1.0] * 7), "a vector of 7 numbers where its `dimension`"),
        (change(embedding="AAAA"), "no vector where its `dimension`"),
        (change(embedding=["a"] * 8), "a vector of something else than numbers"),
        (change(embedding=[[1.0]] * 8), "a vector of something else than numbers"),
        (change(embedding=[None] * 8), "finite"),
        (change(embedding=[1e300] * 8), "finite"),
        (change(embedding=[0.0] * 8), "has no direction"),
    ],
)
def test_answer_that_is_wrong_is_refused(server: EmbeddingServer, spoil: Callable[[Any], Any], words: str) -> None:
    server.spoil = spoil
    with opened(server) as embedder:
        assert words in failure(embedder)


@pytest.mark.parametrize("raw", [b"", b"<html>", b"{" * 100, b'{"data": [' + b" " * (3 << 20) + b"]}"])
def test_answer_that_is_no_answer_is_refused(server: EmbeddingServer, raw: bytes) -> None:
    server.raw = raw
    with opened(server) as embedder:
        failure(embedder)


def test_vectors_are_brought_to_unit_length_and_into_order(server: EmbeddingServer) -> None:
    def spoil(document: dict[str, Any]) -> dict[str, Any]:
        for item in document["data"]:
            item["embedding"] = [7 * x for x in item["embedding"]]
        document["data"].reverse()
        return document

    server.spoil = spoil
    texts = ["one", "two", "three"]
    with opened(server) as embedder:
        np.testing.assert_allclose(embedder.embed(texts), server.embedder.embed(texts), atol=1e-6)


def test_silent_endpoint_times_out(server: EmbeddingServer) -> None:
    server.is_silent.set()
    with opened(server, timeout_s=0.3) as embedder:
        assert "did not answer within 0.3 s (LAKEHOUSE_EMBEDDING_TIMEOUT_S)" in failure(embedder, TimedOut)
    wait_until(lambda: server.requests)  # it may be slower to read than the client is to give up
    assert len(server.requests) == 1


def test_endpoint_that_is_not_there_is_told(server: EmbeddingServer) -> None:
    with opened(server, url="http://127.0.0.1:1/v1") as embedder:
        assert "cannot be reached; see its `url` in LAKEHOUSE_EMBEDDING_ENDPOINTS" in failure(embedder)
