"""SQL filters over a real dataset: one boolean expression, gated and masked like every query."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.sql_filter import SqlFilter
from lakehouse.errors import BadInput, Forbidden
from tests.api import RunningApi, api_settings, running_api

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


CSV = b"worker_id,city,hourly_rate,email\n1,Toledo,20,a@x.org\n2,Akron,30,b@x.org\n3,Toledo,,c@x.org\n"


@pytest.fixture
async def api(objects: S3ObjectStore, tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with running_api(api_settings(objects, tmp_path / "data")) as running:
        async with running.client() as client:
            answer = await client.post("/v1/ingest?name=workers", files={"file": ("w.csv", CSV)})
            assert answer.is_success, answer.text
        yield running


async def ids(api: RunningApi, expression: str, *, has_pii: bool = True) -> set[str]:
    found = await SqlFilter(api.services.sql).ids(
        expression, dataset="workers", id_column="worker_id", snapshot=api.services.watcher.current(), has_pii=has_pii
    )
    return set(found)


async def test_rows_that_pass_are_named_as_text(api: RunningApi) -> None:
    assert await ids(api, "city = 'Toledo'") == {"1", "3"}
    assert await ids(api, "hourly_rate < 25 -- cheap") == {"1"}
    assert await ids(api, "worker_id IN (SELECT max(worker_id) FROM workers)") == {"3"}


async def test_mask_holds_in_a_filter(api: RunningApi) -> None:
    assert await ids(api, "email = 'a@x.org'") == {"1"}
    assert await ids(api, "email = 'a@x.org'", has_pii=False) == set()
    assert await ids(api, "lower(email) LIKE '%x.org%'", has_pii=False) == set()


@pytest.mark.parametrize(
    "expression",
    [
        "hourly_rate",
        "'true'",
        "nothing > 1",
        "city =",
        "count(*) > 1",
        "1; DROP TABLE workers",
        "false) OR (true",
        "true] || [true",
    ],
)
async def test_anything_else_than_one_boolean_expression_is_refused(api: RunningApi, expression: str) -> None:
    with pytest.raises((BadInput, Forbidden)) as refused:
        await ids(api, expression)
    assert refused.value.status in (400, 403)


async def test_attack_is_refused(api: RunningApi) -> None:
    with pytest.raises(Forbidden):
        await ids(api, "getenv('HOME') = '/root'")
    with pytest.raises(Forbidden):
        await ids(api, "exists (SELECT 1 FROM read_csv('/etc/passwd'))")
