"""What the API writes down of what it did, and what it refuses when the disk is full."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.errors import Unavailable
from lakehouse.storage.objects import list_all
from tests.api import RunningApi, api_settings, running_api
from tests.fakes.services import FakeDisk, FakeEventLog, services_with_fakes
from tests.servers import StoreServer

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def api(store_process: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningApi]:
    settings = api_settings(store_process.objects(bucket="audit"), tmp_path_factory.mktemp("audit"))
    async with running_api(settings, compose=services_with_fakes) as running:
        yield running
    store_process.drop_bucket("audit")


@pytest.fixture
def objects(api: RunningApi) -> Iterator[S3ObjectStore]:
    yield api.services.objects
    for info in list_all(api.services.objects, ""):
        api.services.objects.delete(info.key)


@pytest.fixture
def events(api: RunningApi) -> FakeEventLog:
    """A new event log for the test."""
    log = FakeEventLog()
    api.services.events = log  # type: ignore[assignment]
    return log


@pytest.fixture
def full_disk(api: RunningApi) -> Iterator[None]:
    api.services.disk = FakeDisk("full")  # type: ignore[assignment]
    yield
    api.services.disk = FakeDisk()  # type: ignore[assignment]


@pytest.fixture
async def client(api: RunningApi, objects: S3ObjectStore) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as client:
        yield client


async def test_write_and_delete_are_written_down_with_who_and_what(
    client: httpx.AsyncClient, events: FakeEventLog
) -> None:
    ids = {"X-Request-Id": "request-1", "X-Task-Id": "task-1"}
    await client.put("/v1/storage/files/a", content=b"hello", headers=ids)
    await client.delete("/v1/storage/files/a")
    (stream, put), (_, delete) = events.lines
    assert stream == "audits"
    assert put.pop("elapsed_ms") > 0
    assert put == {
        "action": "storage.put", "subject": "files/a", "status": "ok", "bytes": 5, "client": "127.0.0.1",
        "scopes": ["admin", "pii", "read", "write"], "actor": "primary", "trace_id": "request-1", "task_id": "task-1",
    }  # fmt: skip
    assert (delete["action"], delete["task_id"]) == ("storage.delete", None)


async def test_refused_registration_is_written_down(client: httpx.AsyncClient, events: FakeEventLog) -> None:
    body = {"columns": [{"name": "a", "type": "BIGINT"}], "objects": [{"key": "files/none"}]}
    await client.put("/v1/catalog/workers", json=body)
    line = events.lines[0][1]
    assert (line["action"], line["subject"], line["status"]) == ("catalog.register", "workers", "refused")


async def test_reads_and_refusals_are_written_down(
    api: RunningApi, client: httpx.AsyncClient, events: FakeEventLog, objects: S3ObjectStore
) -> None:
    objects.put("files/a", b"x")
    await client.get("/v1/storage/files/a")
    await client.get("/v1/storage?prefix=files/")
    await client.get("/v1/catalog/nobody")
    await client.put("/v1/storage/catalog/x", content=b"x")
    await client.get("/v1/nothing")
    async with api.client(token="wrong") as stranger:
        await stranger.get("/v1/catalog")
    await client.get("/health")
    seen = [(line["action"], line["subject"], line["status"], line["actor"]) for _, line in events.lines]
    assert seen == [
        ("get_object", "/v1/storage/files/a", "ok", "primary"),
        ("list_objects", "/v1/storage", "ok", "primary"),
        ("get_dataset", "/v1/catalog/nobody", "refused", "primary"),
        ("put_object", "/v1/storage/catalog/x", "refused", "primary"),
        ("unmatched", "/v1/nothing", "refused", "primary"),
        ("unmatched", "/v1/catalog", "refused", None),
    ]


async def test_full_spool_does_not_undo_what_happened(
    client: httpx.AsyncClient, events: FakeEventLog, objects: S3ObjectStore
) -> None:
    events.failure = Unavailable("the spool is full", retry_after_s=5)
    assert (await client.put("/v1/storage/files/a", content=b"x")).status_code == 200
    assert objects.get("files/a").body == b"x"
    assert "lakehouse_lost_audits_total 1.0" in (await client.get("/metrics")).text


@pytest.mark.usefixtures("full_disk")
async def test_full_disk_refuses_writes_with_507_and_still_reads(
    client: httpx.AsyncClient, objects: S3ObjectStore
) -> None:
    objects.put("files/a", b"old")
    before = [(i.key, i.etag) for i in list_all(objects, "")]
    registration = {"columns": [{"name": "a", "type": "BIGINT"}], "objects": [{"key": "files/a"}]}
    for answer in (
        await client.put("/v1/storage/files/a", content=b"new"),
        await client.put("/v1/catalog/workers", json=registration),
        await client.post("/v1/ingest?name=workers", files={"file": ("a.csv", b"a\n1\n")}),
    ):
        assert answer.status_code == 507
        assert answer.json()["title"] == "Insufficient storage"
        assert answer.json()["detail"] == "the disk is 96 % full; writes are refused from 95 % on"
    assert [(i.key, i.etag) for i in list_all(objects, "")] == before
    assert (await client.get("/v1/storage/files/a")).content == b"old"
    health = await client.get("/health")
    assert health.json()["parts"]["disk"] == {
        "state": "degraded",
        "detail": "the disk is full: writes are refused with 507 until there is space",
        "percent": 96.0,
    }
    assert health.json()["status"] in ("degraded", "unavailable")
    assert (await client.delete("/v1/storage/files/a")).status_code == 204  # which is how space is made
