"""Near twins on the real store: merged when the log is folded, on every process, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio.to_thread
import httpx
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from tests.api import RunningApi
from tests.retrieving import retrieval_api

pytestmark = pytest.mark.anyio
PLAYBOOKS = "/v1/matrix/playbooks"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def apis(objects: S3ObjectStore, tmp_path: Path) -> AsyncIterator[tuple[RunningApi, RunningApi]]:
    async with (
        retrieval_api(objects, tmp_path / "one", memory_fold_s=3600, memory_poll_s=0.05) as one,
        retrieval_api(objects, tmp_path / "two", memory_fold_s=3600, memory_poll_s=0.05) as two,
    ):
        yield one, two


async def record(api: RunningApi, query: str) -> str:
    async with api.client() as client:
        body = {"query": query, "answer_id": "w-1", "answer_corpus": "notes"}
        answer = await client.post(f"{PLAYBOOKS}/record", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["revision"])


async def entries(client: httpx.AsyncClient) -> list[tuple[str, int]]:
    return [(p["query"], p["evidence"]) for p in (await client.get(PLAYBOOKS)).json()["playbooks"]]


async def test_twins_become_one_entry_on_both_processes(apis: tuple[RunningApi, RunningApi]) -> None:
    one, two = apis
    first = await record(one, "forklift driver in Toledo with OSHA-30")
    await two.services.retrieval.wait_for(first)
    second = await record(two, "forklift driver with OSHA-30, in Toledo")
    await one.services.retrieval.wait_for(second)
    for api in (one, two, one):  # a second fold, by another process, finds nothing more to merge
        await anyio.to_thread.run_sync(api.services.retrieval.log.fold)
    for api in (one, two):
        await api.services.retrieval.wait_for(one.services.retrieval.log.revision)
        async with api.client() as client:
            assert await entries(client) == [("forklift driver in Toledo with OSHA-30", 2)]


async def test_merge_outlives_a_restart(objects: S3ObjectStore, tmp_path: Path) -> None:
    async with retrieval_api(objects, tmp_path / "one", memory_fold_s=3600) as api:
        await record(api, "forklift driver in Toledo with OSHA-30")
        await record(api, "forklift driver with OSHA-30, in Toledo")
        log = api.services.retrieval.log
        folded = [await anyio.to_thread.run_sync(log.fold) for _ in range(3)]
        assert folded == [2, 1, 0]  # the records, the merge that they led to, nothing
    async with retrieval_api(objects, tmp_path / "two", memory_fold_s=3600) as again, again.client() as client:
        await again.services.retrieval.wait_for(log.revision)
        assert [evidence for _, evidence in await entries(client)] == [2]
