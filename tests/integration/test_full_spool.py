"""Writes to memory, to outcomes and to indexes while the event log can take no line: refused, and nothing changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.clock import utc_now
from lakehouse.storage.objects import list_all
from lakehouse_api.compose import compose_services
from tests.api import RunningApi, api_settings, running_api
from tests.retrieving import STATIC, add_notes, search

pytestmark = pytest.mark.anyio
PLAYBOOKS = "/v1/matrix/playbooks"
INDEX = "/v1/vectors/index"
SPOOL_BYTES = 200_000
FULL = "the run-log spool is full; lines are shipped when the store answers again"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def record(client: httpx.AsyncClient, **new: str) -> str:
    """Record an entry as soon as the memory log has read its past; gives its id."""
    with anyio.fail_after(60):
        while (answer := await client.post(f"{PLAYBOOKS}/record", json=new)).status_code == 503:
            await anyio.sleep(0.05)
    return str(answer.json()["playbook_id"])


async def fill(api: RunningApi) -> None:
    """Lines until no more is let in; they are shipped later than any test ends."""
    stats = api.services.events.stats()
    text = "x" * (stats["max_bytes"] - stats["depth_bytes"] - 20_000)
    await api.services.events.append("audits", {"text": text})


async def seen(api: RunningApi, client: httpx.AsyncClient) -> tuple[Any, ...]:
    """Everything that the writes below would change."""
    books = (await client.get(PLAYBOOKS)).json()
    indexes = [(i["name"], i["rows"], i["revision"]) for i in (await client.get(INDEX)).json()["indexes"]]
    return books, indexes, [info.key for info in list_all(api.services.objects, "log/")]


async def test_full_spool_refuses_what_it_could_not_write_down(objects: S3ObjectStore, tmp_path: Path) -> None:
    settings = api_settings(objects, tmp_path, **STATIC, spool_max_bytes=SPOOL_BYTES, spool_part_age_s=3600)
    async with running_api(settings, compose=compose_services) as api, api.client() as client:
        now = utc_now()
        api.services.events._clock = lambda: now  # the parts of a day that ends are shipped, and make room
        await add_notes(client)
        playbook_id = await record(client, query="forklift", answer_id="b", answer_corpus="notes")
        trace_id = (await search(client, "forklift", use_playbook=True))["trace_id"]
        await fill(api)
        before = await seen(api, client)
        again = {"query": "welder", "answer_id": "a"}
        answers = [
            await client.post(f"{PLAYBOOKS}/record", json=again),
            await client.post(f"{PLAYBOOKS}/bulk", json={"records": [again]}),
            await client.post(f"{PLAYBOOKS}/feedback", json={"playbook_id": playbook_id, "score": -1}),
            await client.delete(f"{PLAYBOOKS}/{playbook_id}"),
            await client.post("/v1/outcomes", json={"trace_id": trace_id, "success": True}),
            await client.post("/v1/outcomes", json={"run_id": "r-1", "success": True}),
            await client.post(INDEX, json={"name": "more"}),
            await client.post(f"{INDEX}/notes/add", json={"items": [{"id": "z", "text": "lost"}]}),
            await client.post(f"{INDEX}/notes/delete", json={"ids": ["a"]}),
            await client.delete(f"{INDEX}/notes"),
        ]
        refusals = [(answer.status_code, answer.json()["detail"], answer.headers["Retry-After"]) for answer in answers]
        assert refusals == [(503, FULL, "5")] * len(answers)
        assert await seen(api, client) == before
        await search(client, "forklift")  # reading goes on


async def test_bulk_records_are_written_down_one_by_one(objects: S3ObjectStore, tmp_path: Path) -> None:
    async with running_api(api_settings(objects, tmp_path, **STATIC)) as api, api.client() as client:
        await record(client, query="none of them", answer_id="a")
        records = [{"query": "one", "answer_id": "a"}, {"query": "", "answer_id": "a"}]
        results = (await client.post(f"{PLAYBOOKS}/bulk", json={"records": records})).json()["results"]
        assert [result["ok"] for result in results] == [True, False], results
        lines = [line for stream, line in api.services.events.lines if stream == "playbook_events"]  # type: ignore[attr-defined]
        assert [(line["action"], line["query"]) for line in lines[1:]] == [("record", "one")]
