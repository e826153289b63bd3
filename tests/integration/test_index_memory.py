"""Corpora that do not fit into the memory for indexes, over HTTP: served from their tables, with the same answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from tests.retrieving import NOTES, add_notes, ids, retrieval_api, search

pytestmark = pytest.mark.anyio
INDEX = "/v1/vectors/index/notes"
TINY: dict[str, Any] = {"index_memory_bytes": 1_000, "memory_poll_s": 0.05}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def served(client: httpx.AsyncClient, is_so: Callable[[str], bool]) -> str:
    """How the index is held, once it is so."""
    with anyio.fail_after(60):
        while not is_so(kind := (await client.get(INDEX)).json()["state"]["kind"]):
            await anyio.sleep(0.02)
    return str(kind)


async def answers(client: httpx.AsyncClient) -> list[Any]:
    asked: list[dict[str, Any]] = [
        {"text": "welder at night", "k": 2},
        {"text": "nurse", "k": 5, "filter": {"state": "OH"}},
        {"text": "driver", "k": 5, "filter": {"tags": {"contains": "MIG"}}},
        {"text": "nurse", "k": 3, "exclude_ids": ["b"]},
    ]
    found = []
    for body in asked:
        answer = await client.post(f"{INDEX}/search", json=body)
        assert answer.status_code == 200, answer.text
        found.append([(r["id"], round(r["distance"], 4), r["metadata"]) for r in answer.json()["results"]])
    for mode in ("text", "vector", "hybrid"):
        matrix = await search(client, "forklift driver on weekends", k=3, mode=mode, use_playbook=False)
        found.append([(r["id"], round(r["score"], 3)) for r in matrix["results"]])
    refused = await client.post(f"{INDEX}/search", json={"text": "nurse", "filter": {"nope": 1}})
    return [*found, (refused.status_code, refused.json()["detail"])]


async def test_corpus_that_outgrows_the_memory_is_served_by_lance_with_the_same_answers(
    objects: S3ObjectStore, tmp_path: Path
) -> None:
    async with retrieval_api(objects, tmp_path / "roomy") as roomy, roomy.client() as client:
        await add_notes(client)
        assert (await client.get(INDEX)).json()["state"]["kind"] == "exact"
        expected = await answers(client)
        assert (await client.get("/health")).json()["parts"]["corpora"]["by_lance"] == []
    async with retrieval_api(objects, tmp_path / "tiny", **TINY) as tiny, tiny.client() as client:
        # Too large when it is opened.
        assert await served(client, lambda kind: kind.startswith("lance")) == "lance_flat"
        assert (await client.get("/health")).json()["parts"]["corpora"]["by_lance"] == ["notes"]
        assert await answers(client) == expected
        # Writes are found at once, as always.
        more = {"items": [{"id": "d", "text": "crane operator", "metadata": {"state": "IN"}}]}
        assert (await client.post(f"{INDEX}/add", json=more)).status_code == 200
        assert ids(await search(client, "crane operator", k=1)) == ["d"]
        assert (await client.post(f"{INDEX}/delete", json={"ids": ["d", "x"]})).json()["deleted"] == 1
        assert await answers(client) == expected


async def test_corpus_that_grows_past_the_memory_leaves_it_without_losing_a_write(
    objects: S3ObjectStore, tmp_path: Path
) -> None:
    async with retrieval_api(objects, tmp_path / "data", **TINY) as api, api.client() as client:
        await add_notes(client)
        for number in range(40):
            name = f"n{number}"
            item = {**NOTES[number % 3], "id": name, "text": f"badge {name} of a welder"}
            assert (await client.post(f"{INDEX}/add", json={"items": [item]})).status_code == 200
            found = await search(client, f"badge {name}", k=1, mode="text", use_playbook=False)
            assert ids(found) == [name]
        await served(client, lambda kind: kind == "lance_flat")
        assert (await client.get(INDEX)).json()["rows"] == 43
