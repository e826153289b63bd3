"""Datasets whose files are not all of the schema that is declared, over `/v1/sql`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.manifest import Column
from lakehouse.catalog.service import Draft
from tests.api import RunningApi, api_settings, running_api

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def api(objects: S3ObjectStore, tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with running_api(api_settings(objects, tmp_path)) as running:
        yield running


@pytest.fixture
async def client(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as client:
        yield client


async def load(client: httpx.AsyncClient, text: str, **options: str) -> None:
    answer = await client.post("/v1/ingest", params={"name": "d", **options}, files={"file": ("x.csv", text.encode())})
    assert answer.is_success, answer.text


async def ask(client: httpx.AsyncClient, sql: str) -> tuple[list[str], list[list[Any]]]:
    answer = await client.post("/v1/sql", json={"sql": sql})
    assert answer.status_code == 200, answer.text
    return [column["type"] for column in answer.json()["columns"]], answer.json()["rows"]


async def test_column_that_only_a_file_without_rows_brought_reads_as_null(client: httpx.AsyncClient) -> None:
    await load(client, "a,b\n1,x\n2,y\n")
    await load(client, "a,c\n", mode="append", evolve="true", types='{"c": "DATE"}')
    assert await ask(client, "SELECT a, b, c FROM d ORDER BY a") == (
        ["BIGINT", "VARCHAR", "DATE"],
        [[1, "x", None], [2, "y", None]],
    )
    assert (await ask(client, "SELECT count(*), count(c) FROM d WHERE a > 1"))[1] == [[1, 0]]
    await load(client, "a,c\n3,2026-01-02\n", mode="append", evolve="true")
    assert (await ask(client, "SELECT a, c FROM d WHERE c IS NOT NULL"))[1] == [[3, "2026-01-02"]]


@pytest.mark.parametrize("type_", ["BIGINT[]", "TIMESTAMP WITH TIME ZONE", "BLOB", "STRUCT(x DOUBLE, y VARCHAR)"])
async def test_column_whose_file_is_gone_reads_as_null_of_its_type(
    api: RunningApi, client: httpx.AsyncClient, type_: str
) -> None:
    await load(client, "a\n1\n")
    live = api.services.catalog.get("d")
    columns = (*live.columns, Column("C c", type_), Column("secret", "VARCHAR", pii=True))
    api.services.catalog.commit("d", lambda _: Draft(columns, live.objects))
    await load(client, "a,c\n1,2\n", name="other")  # makes this process look again
    assert await ask(client, 'SELECT a, "C c", secret FROM d') == (["BIGINT", type_, "VARCHAR"], [[1, None, None]])
