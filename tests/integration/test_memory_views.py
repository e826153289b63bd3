"""What SQL sees of memory tables: what this process knows, masked like everything else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakehouse.adapters.objects import S3ObjectStore
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


async def test_past_of_a_memory_table_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/sql", json={"sql": ALL, "as_of": "2026-01-01T00:00:00Z"})
    assert answer.status_code == 400
    assert "as_of" in answer.json()["detail"]


async def test_files_behind_the_view_cannot_be_read_by_name(api: RunningApi, client: httpx.AsyncClient) -> None:
    await record(client, "night welder", "a")
    await sql(client, ALL)
    [file] = (api.services.work_dir / "sql" / "views").iterdir()
    for query in (f"SELECT * FROM '{file}'", f"SELECT * FROM read_parquet('{file}')"):
        answer = await client.post("/v1/sql", json={"sql": query})
        assert answer.status_code in (400, 403), answer.text
        assert str(file) not in answer.text.replace(query, "")
