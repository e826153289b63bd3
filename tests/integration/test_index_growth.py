"""An index that grows from nothing and shrinks to nothing under 50 clients, over HTTP: exact answers, and no error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from lakehouse.adapters.objects import S3ObjectStore
from tests.hot_rows import clustered, exact_distances
from tests.retrieving import retrieval_api

pytestmark = pytest.mark.anyio
INDEX = "/v1/vectors/index/growing"
DIMENSION = 8
CLIENTS = 50
K = 10
SIZES = (1, 31, 33, 0, 700, 0, 64)
VECTORS = clustered(max(SIZES), DIMENSION)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=[{}, {"index_memory_bytes": 1, "memory_poll_s": 0.05}], ids=["memory", "lance"])
async def client(
    request: pytest.FixtureRequest, objects: S3ObjectStore, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    async with retrieval_api(objects, tmp_path / "data", **request.param) as api, api.client() as opened:
        made = await opened.post(
            "/v1/vectors/index", json={"name": "growing", "dimension": DIMENSION, "embedder": "static"}
        )
        assert made.status_code == 201, made.text
        yield opened


@dataclass
class Known:
    """What the index must hold: ids that are acknowledged, and those that are being written or taken away."""

    there: set[int] = field(default_factory=set)
    moving: set[int] = field(default_factory=set)


async def call(client: httpx.AsyncClient, what: str, body: Mapping[str, Any]) -> Any:
    answer = await client.post(f"{INDEX}/{what}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def truth(numbers: set[int], query: NDArray[np.float32]) -> list[tuple[str, float]]:
    """The nearest by comparing each."""
    ordered = sorted(numbers)
    distances = exact_distances(VECTORS[ordered], query, "cosine") if ordered else np.empty(0)
    return [(f"v{ordered[n]}", float(distances[n])) for n in np.argsort(distances, kind="stable")[:K]]


async def look(client: httpx.AsyncClient, known: Known, seed: int) -> None:
    """A search while others write: everything acknowledged before it, and nothing that is gone."""
    query = clustered(1, DIMENSION, seed=seed)[0]
    sure, moving = set(known.there), set(known.moving)
    results = (await call(client, "search", {"vector": query.tolist(), "k": K}))["results"]
    possible = sure | moving | known.there | known.moving
    found = {int(result["id"][1:]) for result in results}
    assert len(found) == len(results)
    assert found <= possible
    kept = sure & known.there - known.moving - moving
    assert len(results) >= min(K, len(kept))
    # Whatever stayed throughout and is nearer than the last result is among the results.
    last = results[-1]["distance"] if len(results) == K else np.inf
    assert {int(i[1:]) for i, d in truth(kept, query) if d < last - 1e-5} <= found


async def check(client: httpx.AsyncClient, known: Known, seed: int) -> None:
    """A search while nobody writes: exactly what a naive comparison gives."""
    query = clustered(1, DIMENSION, seed=seed)[0]
    asked: list[tuple[dict[str, Any], set[int]]] = [({}, known.there)]
    if known.there:  # without rows a filter's field is known to none
        asked.append(({"filter": {"even": True}}, {n for n in known.there if n % 2 == 0}))
    for filtered, numbers in asked:
        results = (await call(client, "search", {"vector": query.tolist(), "k": K, **filtered}))["results"]
        expected = truth(numbers, query)
        assert [r["id"] for r in results] == [i for i, _ in expected]
        np.testing.assert_allclose([r["distance"] for r in results], [d for _, d in expected], atol=1e-5)


async def write(client: httpx.AsyncClient, known: Known, numbers: list[int]) -> None:
    known.moving.update(numbers)
    items = [{"id": f"v{n}", "vector": VECTORS[n].tolist(), "metadata": {"even": n % 2 == 0}} for n in numbers]
    assert (await call(client, "add", {"items": items}))["added"] == len(numbers)
    known.there.update(numbers)
    known.moving.difference_update(numbers)


async def take_away(client: httpx.AsyncClient, known: Known, numbers: list[int]) -> None:
    known.moving.update(numbers)
    assert (await call(client, "delete", {"ids": [f"v{n}" for n in numbers]}))["deleted"] == len(numbers)
    known.there.difference_update(numbers)
    known.moving.difference_update(numbers)


async def move_to(client: httpx.AsyncClient, known: Known, size: int) -> None:
    """Half of the clients bring the index to a size, each its share, while the others search."""
    change = write if size > len(known.there) else take_away
    numbers = sorted(set(range(size)) ^ known.there)
    shares = [numbers[n :: CLIENTS // 2] for n in range(CLIENTS // 2)]
    async with asyncio.TaskGroup() as group:
        for share in shares:
            if share:
                group.create_task(change(client, known, share))
        for seed in range(CLIENTS // 2):
            group.create_task(look(client, known, seed))


async def test_index_that_grows_and_shrinks_answers_exactly(client: httpx.AsyncClient) -> None:
    known = Known()
    await check(client, known, 0)
    for size in SIZES:
        await move_to(client, known, size)
        assert len(known.there) == size
        assert (await client.get(INDEX)).json()["rows"] == size
        async with asyncio.TaskGroup() as group:
            for seed in range(CLIENTS // 5):
                group.create_task(check(client, known, 1000 + seed))
