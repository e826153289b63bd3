"""What SQL sees of memory tables: what this process knows, masked like everything else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.clock import utc_now
from tests.api import RunningApi
from tests.retrieving import retrieval_api
from tests.tokens import write_tokens_file

pytestmark = pytest.mark.anyio
PLAYBOOKS = "/v1/matrix/playbooks"
ALL = "SELECT query, answer_id, answer_corpus, score, tags FROM playbooks ORDER BY playbook_id"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def api(objects: S3ObjectStore, tmp_path: Path) -> AsyncIterator[RunningApi]:
    tokens = write_tokens_file(tmp_path / "tokens.json", reader=["read"])
    async with retrieval_api(objects, tmp_path / "data", tokens_file=tokens) as running:
        yield running


@pytest.fixture
async def client(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as opened:
        yield opened


async def sql(client: httpx.AsyncClient, query: str, **request: Any) -> list[list[Any]]:
    answer = await client.post("/v1/sql", json={"sql": query, **request}, timeout=60)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["rows"])


async def record(client: httpx.AsyncClient, query: str, answer_id: str, **more: Any) -> str:
    answer = await client.post(f"{PLAYBOOKS}/record", json={"query": query, "answer_id": answer_id, **more})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["playbook_id"])


async def a_millisecond_later() -> str:
    """A time after all that was written, by which the log's clock, which counts milliseconds, can tell."""
    moment = utc_now()
    while utc_now() - moment < timedelta(milliseconds=2):
        await anyio.sleep(0)
    return moment.isoformat()


async def test_playbooks_are_seen_as_they_are_now(client: httpx.AsyncClient) -> None:
    assert await sql(client, ALL) == []
    welder = await record(client, "night welder", "a", answer_corpus="notes", tags=["fill", "night"])
    assert await sql(client, ALL) == [["night welder", "a", "notes", 1.0, ["fill", "night"]]]
    nurse = await record(client, "weekend nurse", "b", score=0.5)
    await client.post(f"{PLAYBOOKS}/feedback", json={"playbook_id": nurse, "score": -0.5})
    assert [row[3] for row in await sql(client, ALL)] == [1.0, 0.0]
    assert await sql(client, "SELECT count(*) FROM playbooks WHERE updated_at > created_at") == [[1]]
    await client.delete(f"{PLAYBOOKS}/{welder}")
    assert await sql(client, "SELECT playbook_id FROM playbooks") == [[nurse]]


async def test_view_has_the_same_columns_empty_and_filled(client: httpx.AsyncClient) -> None:
    described = await sql(client, "DESCRIBE playbooks")
    await record(client, "night welder", "a")
    assert await sql(client, "DESCRIBE playbooks") == described


async def test_queries_of_others_are_masked_without_the_scope(api: RunningApi, client: httpx.AsyncClient) -> None:
    await record(client, "a welder for Ann Lee", "a")
    async with api.client(token="reader") as reader:
        assert await sql(reader, "SELECT query, answer_id FROM playbooks") == [["[masked]", "a"]]
        assert await sql(reader, "SELECT count(*) FROM playbooks WHERE query LIKE '%Ann%'") == [[0]]


async def test_past_of_playbooks_is_what_was_known_then(api: RunningApi, client: httpx.AsyncClient) -> None:
    before = utc_now()
    welder = await record(client, "night welder", "a", tags=["fill"])
    nurse = await record(client, "weekend nurse", "b", score=0.5)
    then = await a_millisecond_later()
    await client.post(f"{PLAYBOOKS}/feedback", json={"playbook_id": nurse, "score": -0.5})
    await client.delete(f"{PLAYBOOKS}/{welder}")
    now = await a_millisecond_later()
    for is_folded in (False, True):
        if is_folded:
            await anyio.to_thread.run_sync(api.services.retrieval.log.fold)
        assert await sql(client, ALL, as_of=before.isoformat()) == []
        assert await sql(client, ALL, as_of=then) == [
            ["night welder", "a", None, 1.0, ["fill"]], ["weekend nurse", "b", None, 0.5, []]
        ]  # fmt: skip
        assert [row[3] for row in await sql(client, ALL, as_of=now)] == [0.0]
        assert [row[3] for row in await sql(client, ALL)] == [0.0]
    async with api.client(token="reader") as reader:
        shown = await sql(reader, "SELECT DISTINCT query FROM playbooks", as_of=then)
    assert shown == [["[masked]"]]


async def test_past_of_pathways_is_what_was_known_then(client: httpx.AsyncClient) -> None:
    added = await client.post("/v1/pathway/add", json={"content": {"text": "call the site first"}})
    uid = added.json()["uid"]
    then = await a_millisecond_later()
    await client.post("/v1/pathway/retire", json={"uid": uid, "reason": "they moved"})
    query = "SELECT uid, retired FROM pathways"
    assert await sql(client, query, as_of=then) == [[uid, False]]
    assert await sql(client, query, as_of=await a_millisecond_later()) == [[uid, True]]


async def test_past_of_what_keeps_none_is_refused_with_what_to_do_instead(client: httpx.AsyncClient) -> None:
    await client.post("/v1/observer/event", json={"source": "desk", "kind": "note"})
    asked = {"sql": "SELECT * FROM observer_events", "as_of": "2026-01-01T01:00:00+01:00"}
    answer = await client.post("/v1/sql", json=asked)
    assert answer.status_code == 400
    assert "leave as_of out" in answer.json()["detail"]
    assert "WHERE recorded_at <= TIMESTAMP '2026-01-01 00:00:00'" in answer.json()["detail"]


async def test_files_behind_the_view_cannot_be_read_by_name(api: RunningApi, client: httpx.AsyncClient) -> None:
    await record(client, "night welder", "a")
    await sql(client, ALL)
    [file] = (api.services.work_dir / "sql" / "views").iterdir()
    for query in (f"SELECT * FROM '{file}'", f"SELECT * FROM read_parquet('{file}')"):
        answer = await client.post("/v1/sql", json={"sql": query})
        assert answer.status_code in (400, 403), answer.text
        assert str(file) not in answer.text.replace(query, "")
