"""SQL workers without a query end, one at work is left alone, and the next query has a new one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lakehouse.adapters.objects import S3Location
from lakehouse.adapters.sql_pool import SqlPool
from lakehouse.catalog.snapshot import CatalogSnapshot
from lakehouse.query.request import SqlRequest
from lakehouse.settings import load_settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[SqlPool]:
    environ = {"LAKEHOUSE_SQL_IDLE_S": "0.2", "LAKEHOUSE_SQL_WORKERS": "2", "LAKEHOUSE_DATA_DIR": str(tmp_path)}
    location = S3Location("http://127.0.0.1:9", "none", "us-east-1", "a", "b")
    pool = SqlPool(load_settings(environ, env_file=None), location, temp_root=tmp_path / "sql")
    await pool.start()
    yield pool
    await pool.stop()
    assert not list((tmp_path / "sql").iterdir())


async def one(pool: SqlPool, sql: str) -> bytes:
    return (await pool.run(SqlRequest(sql, "json"), snapshot=CatalogSnapshot(), has_pii=True)).body


async def until_workers(pool: SqlPool, count: int) -> None:
    async with asyncio.timeout(60):
        while pool.stats()["workers"] != count:
            await asyncio.sleep(0.01)


async def test_no_worker_starts_before_the_first_query_and_none_outlives_its_idle_time(pool: SqlPool) -> None:
    assert pool.stats()["workers"] == 0
    for _ in range(2):
        assert await one(pool, "SELECT 1") == b"[[1]]"
        assert pool.stats()["workers"] == 1
        await until_workers(pool, 0)
    assert pool.stats()["killed"] == 0


async def test_worker_at_work_for_longer_than_the_idle_time_is_left_alone(pool: SqlPool) -> None:
    async def run_long() -> bytes:
        return await one(pool, "SELECT count(*) FROM range(70000000) a WHERE a.range % 7 = 3")

    assert await one(pool, "SELECT 1") == b"[[1]]"
    counting = asyncio.create_task(run_long())
    await asyncio.sleep(0)
    assert await one(pool, "SELECT 2") == b"[[2]]"
    assert await counting == b"[[10000000]]"
    assert pool.stats()["killed"] == 0
    await until_workers(pool, 0)
