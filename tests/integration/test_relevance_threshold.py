"""A relevance threshold over indexes that were made over HTTP, on the real store: what it drops, and what it cannot."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.static_embedder import StaticEmbedder
from tests.api import RunningApi
from tests.contract.test_calibrator import texts
from tests.fakes.embedders import FakeEmbedder
from tests.fakes.embedding_endpoint import EmbeddingServer, embedding_server
from tests.retrieving import NOTES, add_notes, ids, retrieval_api

pytestmark = pytest.mark.anyio
INDEX = "/v1/vectors/index"
ON_TOPIC, OFF_TOPIC = "driver of a forklift", "sonnets about volcanic glaciers"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[EmbeddingServer]:
    with embedding_server(FakeEmbedder("fake", 32)) as server:
        yield server


def settings_of(endpoint: EmbeddingServer) -> dict[str, Any]:
    return {"embedding_endpoints": json.dumps({"home": {"url": endpoint.url, "model": "m", "dimension": 32}})}


@pytest.fixture
async def api(objects: S3ObjectStore, tmp_path: Path, endpoint: EmbeddingServer) -> AsyncIterator[RunningApi]:
    async with retrieval_api(objects, tmp_path / "data", memory_poll_s=0.05, **settings_of(endpoint)) as running:
        yield running


@pytest.fixture
async def client(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as opened:
        yield opened


async def make(client: httpx.AsyncClient, name: str, items: list[dict[str, Any]], **shape: Any) -> None:
    made = await client.post(INDEX, json={"name": name, **shape})
    assert made.status_code == 201, made.text
    added = await client.post(f"{INDEX}/{name}/add", json={"items": items})
    assert added.status_code == 200, added.text


async def ask(client: httpx.AsyncClient, query: str, *corpora: str, threshold: float = 0.3, **more: Any) -> Any:
    body = {"query": query, "corpora": corpora or ["notes"], "relevance": {"threshold": threshold}, **more}
    answer = await client.post("/v1/matrix/search", json={"use_playbook": False, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def calibration(client: httpx.AsyncClient, name: str = "notes") -> str:
    return str((await client.get(f"{INDEX}/{name}")).json()["calibration"])


@pytest.mark.parametrize("mode", ["vector", "hybrid"])
async def test_threshold_holds_for_an_index_from_its_first_item_on(client: httpx.AsyncClient, mode: str) -> None:
    await add_notes(client)
    assert await calibration(client) == "embedder"
    near = await ask(client, ON_TOPIC, mode=mode)
    assert (ids(near), near["unjudged"]) == (["c"], {})
    assert near["corpora"]["notes"] == {"hits": 3, "kept": 1, "dropped": 2}
    far = await ask(client, OFF_TOPIC, mode=mode)
    assert (ids(far), far["corpora"]["notes"]["dropped"], far["unjudged"]) == ([], 3, {})
    assert len(ids(await ask(client, OFF_TOPIC, mode=mode, threshold=0))) == 3


async def test_bare_vectors_of_the_embedder_are_judged_as_well(client: httpx.AsyncClient) -> None:
    vectors = StaticEmbedder().embed([str(note["text"]) for note in NOTES]).tolist()
    items = [{"id": note["id"], "vector": vector} for note, vector in zip(NOTES, vectors, strict=True)]
    await make(client, "notes", items)
    assert ids(await ask(client, ON_TOPIC)) == ["c"]
    assert ids(await ask(client, OFF_TOPIC)) == []


async def test_what_cannot_be_judged_is_named_with_its_reason_and_nothing_of_it_is_dropped(
    client: httpx.AsyncClient,
) -> None:
    await add_notes(client)
    await make(client, "squared", NOTES, distance="l2")
    await make(client, "away", NOTES, embedder="home")
    empty = {"name": "empty", "embedder": "home"}
    assert (await client.post(INDEX, json=empty)).status_code == 201
    assert [await calibration(client, name) for name in ("squared", "away", "empty")] == ["none"] * 3
    answer = await ask(client, OFF_TOPIC, "notes", "squared", "away", "empty")
    assert set(answer["unjudged"]) == {"squared", "away", "empty"}
    assert "distance is l2" in answer["unjudged"]["squared"]
    assert "when it has 20 texts" in answer["unjudged"]["away"]
    assert "embedder 'home/m'" in answer["unjudged"]["away"]
    assert {name: counts["dropped"] for name, counts in answer["corpora"].items()} == {
        "notes": 3, "squared": 0, "away": 0, "empty": 0,
    }  # fmt: skip
    words = await ask(client, "forklift", mode="text")
    assert (ids(words), "no vectors" in words["unjudged"]["notes"]) == (["c"], True)
    without = await client.post("/v1/matrix/search", json={"query": OFF_TOPIC, "corpora": ["notes", "squared"]})
    assert without.json()["unjudged"] == {}


async def test_threshold_of_the_config_is_told_of_too(client: httpx.AsyncClient) -> None:
    await make(client, "squared", NOTES, distance="l2")
    put = await client.put("/v1/config/search", json={"config": {"relevance_threshold": 0.3}})
    assert put.status_code == 200
    answer = await client.post("/v1/matrix/search", json={"query": OFF_TOPIC, "corpora": ["squared"]})
    assert set(answer.json()["unjudged"]) == {"squared"}


async def test_index_calibrates_itself_and_every_process_and_restart_has_it(
    objects: S3ObjectStore, api: RunningApi, client: httpx.AsyncClient, tmp_path: Path, endpoint: EmbeddingServer
) -> None:
    items = [{"id": f"t{n}", "text": text} for n, text in enumerate(texts(range(60)))]
    await make(client, "notes", items)
    await make(client, "away", items, embedder="home")
    assert set((await ask(client, "violin sonnet", "notes", "away"))["unjudged"]) == {"away"}
    settings = {"memory_poll_s": 0.05, **settings_of(endpoint)}
    async with retrieval_api(objects, tmp_path / "two", **settings) as other, other.client() as reader:
        with anyio.fail_after(60):
            for name in ("notes", "away"):
                while {await calibration(client, name), await calibration(reader, name)} != {"own"}:
                    await anyio.sleep(0.1)
        for process in (client, reader):
            # The answer that was kept from before, without a judgement, is not given again.
            answer = await ask(process, "violin sonnet", "notes", "away")
            assert answer["unjudged"] == {}
            assert answer["corpora"]["away"]["dropped"] > 0
        first = ids(await ask(client, "violin sonnet"))
    async with retrieval_api(objects, tmp_path / "three", **settings) as again, again.client() as reader:
        assert await calibration(reader) == "own"
        assert ids(await ask(reader, "violin sonnet")) == first
