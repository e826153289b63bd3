"""A parameter behind the `?` that a route does not know is refused, with the one that was meant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.api import api_settings, running_api
from tests.servers import StoreServer

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def client(
    store_process: StoreServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    store, folder = store_process.objects(bucket="parameters"), tmp_path_factory.mktemp("parameters")
    async with running_api(api_settings(store, Path(folder))) as running, running.client() as client:
        yield client
    store_process.drop_bucket("parameters")


@pytest.mark.parametrize(
    ("method", "path", "detail"),
    [
        (
            "GET",
            "/v1/storage?limt=5",
            "there is no parameter 'limt'; did you mean 'limit'? there are prefix, limit, start_after",
        ),
        ("GET", "/v1/catalog/workers?x=1", "there is no parameter 'x'; there are version, as_of"),
        ("POST", "/v1/sql?max_rows=1", "there is no parameter 'max_rows': this route takes none behind the `?`"),
        ("POST", "/v1/matrix/search?k=5", "there is no parameter 'k': this route takes none behind the `?`"),
    ],
)
async def test_unknown_parameter_is_refused_with_the_one_that_was_meant(
    client: httpx.AsyncClient, method: str, path: str, detail: str
) -> None:
    answer = await client.request(method, path, json=None if method == "GET" else {})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(detail)


async def test_parameters_that_probes_and_proxies_add_are_left_alone(client: httpx.AsyncClient) -> None:
    for path in ("/health?probe=1", "/metrics?x=1", "/v1/models?api-version=2024-10-21", "/ui/login?utm_source=mail"):
        assert (await client.get(path)).status_code == 200, path
    assert (await client.get("/v1/storage?limit=5&prefix=files/")).status_code == 200
