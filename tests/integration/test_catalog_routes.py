"""`/v1/catalog` as a client meets it, over a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.names import dataset_id, schema_fingerprint
from lakehouse.catalog.service import Catalog, Column, Draft
from lakehouse.clock import utc_now
from lakehouse.storage.objects import list_all
from tests.api import RunningApi, api_settings, running_api
from tests.servers import StoreServer
from tests.tokens import write_tokens_file

pytestmark = pytest.mark.anyio

COLUMNS = [{"name": "worker_id", "type": "BIGINT"}, {"name": "email", "type": "VARCHAR", "pii": True}]
WORKERS = pa.table({"worker_id": pa.array([1, 2], pa.int64()), "email": ["a@example.org", "b@example.org"]})


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def api(store_process: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningApi]:
    folder = tmp_path_factory.mktemp("catalog-routes")
    tokens = write_tokens_file(folder / "tokens.json", reader=["read"], writer=["write"])
    settings = api_settings(store_process.objects(bucket="catalog-routes"), folder, tokens_file=tokens)
    async with running_api(settings) as running:
        yield running
    store_process.drop_bucket("catalog-routes")


@pytest.fixture
def objects(api: RunningApi, store_process: StoreServer) -> Iterator[S3ObjectStore]:
    """The API's bucket, emptied after the test."""
    store = api.services.objects
    yield store
    store_process.empty_bucket(store.bucket)


@pytest.fixture
async def client(api: RunningApi, objects: S3ObjectStore) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as client:
        yield client


@pytest.fixture
def files(objects: S3ObjectStore, tmp_path: Path) -> S3ObjectStore:
    """`files/workers.parquet` of two rows."""
    _put(objects, tmp_path, "files/workers.parquet", WORKERS)
    return objects


def _put(store: S3ObjectStore, folder: Path, key: str, table: pa.Table) -> None:
    path = folder / "table.parquet"
    pq.write_table(table, path)
    store.put(key, path)


NO_PARQUET = (
    "the file is not Parquet that can be read: it does not begin as Parquet does;"
    " ingest it as what it is, by its name or `format`"
)


def _registration(*keys: str, columns: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"columns": columns or COLUMNS, "objects": [{"key": k} for k in keys or ("files/workers.parquet",)]}


def _catalog_keys(store: S3ObjectStore) -> dict[str, str]:
    found = {i.key: i.etag for i in list_all(store, "catalog/")}
    return found | {i.key: i.etag for i in list_all(store, "datasets/")}


async def test_registering_a_new_name_is_201_with_the_manifest(client: httpx.AsyncClient, files: S3ObjectStore) -> None:
    answer = await client.put("/v1/catalog/workers", json=_registration())
    assert answer.status_code == 201
    assert answer.headers["location"] == "/v1/catalog/workers"
    manifest = answer.json()
    assert manifest["dataset_id"] == dataset_id("workers")
    fingerprint = schema_fingerprint([("worker_id", "BIGINT"), ("email", "VARCHAR")])
    assert manifest["schema_fingerprint"] == fingerprint
    assert (manifest["version"], manifest["row_count"], manifest["committed_by"]) == (1, 2, "primary")
    stored = manifest["objects"][0]
    assert stored["key"] == f"datasets/workers/{fingerprint}/{stored['sha256']}.parquet"
    assert files.get(stored["key"]).body == files.get("files/workers.parquet").body
    assert (await client.get("/v1/catalog/workers")).json() == manifest


async def test_registering_again_is_200_and_updates_objects(
    client: httpx.AsyncClient, files: S3ObjectStore, tmp_path: Path
) -> None:
    first = (await client.put("/v1/catalog/workers", json=_registration())).json()
    same = await client.put("/v1/catalog/workers", json=_registration())
    assert (same.status_code, same.json()) == (200, first)
    _put(files, tmp_path, "files/more.parquet", WORKERS.slice(0, 1))
    body = _registration("files/workers.parquet", "files/more.parquet")
    more = await client.put("/v1/catalog/workers", json=body)
    assert more.status_code == 200
    assert (more.json()["version"], more.json()["row_count"]) == (2, 3)
    assert more.json()["dataset_id"] == first["dataset_id"]
    assert more.json()["updated_at"] > first["updated_at"]


async def test_other_columns_are_409_with_a_diff_and_change_nothing(
    client: httpx.AsyncClient, files: S3ObjectStore, tmp_path: Path
) -> None:
    await client.put("/v1/catalog/workers", json=_registration())
    before = _catalog_keys(files)
    _put(files, tmp_path, "files/other.parquet", pa.table({"worker_id": ["1"], "phone": ["555"]}))
    columns = [{"name": "worker_id", "type": "VARCHAR"}, {"name": "phone", "type": "VARCHAR"}]
    body = _registration("files/other.parquet", columns=columns)
    refused = await client.put("/v1/catalog/workers", json=body)
    assert refused.status_code == 409
    problem = refused.json()
    assert problem["detail"] == (
        "dataset 'workers' has other columns: 'phone' VARCHAR is new; 'email' VARCHAR is gone;"
        " 'worker_id' was BIGINT and is VARCHAR. Nothing was changed;"
        " send evolve=true to accept the new columns as a new version"
    )
    assert problem["accept"] == "evolve=true"
    assert problem["diff"]["retyped"] == [{"name": "worker_id", "from": "BIGINT", "to": "VARCHAR"}]
    assert _catalog_keys(files) == before
    accepted = await client.put("/v1/catalog/workers?evolve=true", json=body)
    assert accepted.status_code == 200
    assert (accepted.json()["version"], accepted.json()["note"]) == (2, "evolve accepted by primary")


async def test_column_personal_by_its_name_is_marked_undeclared(
    client: httpx.AsyncClient, files: S3ObjectStore
) -> None:
    unmarked = [{"name": c["name"], "type": c["type"]} for c in COLUMNS]
    answer = await client.put("/v1/catalog/workers", json=_registration(columns=unmarked))
    assert [c["pii"] for c in answer.json()["columns"]] == [False, True]


async def test_mask_stays_when_a_registration_does_not_name_it(
    client: httpx.AsyncClient, files: S3ObjectStore, tmp_path: Path
) -> None:
    marked = [COLUMNS[0] | {"pii": True}, COLUMNS[1]]
    await client.put("/v1/catalog/workers", json=_registration(columns=marked))
    _put(files, tmp_path, "files/more.parquet", WORKERS.slice(0, 1))
    answer = await client.put("/v1/catalog/workers", json=_registration("files/more.parquet"))
    assert [c["pii"] for c in answer.json()["columns"]] == [True, True]


@pytest.mark.parametrize(
    ("name", "rule"), [("Workers", "dataset-name"), ("1a", "dataset-name"), ("a" * 64, "dataset-name"),
                       ("evidence", "reserved-name"), ("a.b", "dataset-name"), ("a%2Fb", None)],
)  # fmt: skip
async def test_name_against_the_rule_is_400(
    client: httpx.AsyncClient, files: S3ObjectStore, name: str, rule: str | None
) -> None:
    for method, json in (("PUT", _registration()), ("GET", None), ("DELETE", None)):
        answer = await client.request(method, f"/v1/catalog/{name}", json=json)
        # With a slash in it there is no such route.
        assert answer.status_code == (404 if rule is None else 400)
        assert answer.json().get("rule") == rule
    assert _catalog_keys(files) == {}


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (_registration("landing/a.parquet"), 400,
         "key 'landing/a.parquet' cannot be registered: only files under files/ can"),
        (_registration("files/../a"), 400,
         "key 'files/../a' is refused: a key must not contain '.' or '..' as a component"),
        (_registration("files/none.parquet"), 404, "no object 'files/none.parquet'"),
        (_registration("files/text.txt"), 422, NO_PARQUET),
        (_registration("files/workers.parquet", "files/workers.parquet"), 400,
         "a key stands in objects twice; its rows would count twice"),
        (_registration(columns=[{"name": "worker_id", "type": "BIGINT"}]), 422,
         "'files/workers.parquet' has other columns than those given: 'email' VARCHAR is new"),
        (_registration(columns=[COLUMNS[0], {"name": "WORKER_ID", "type": "BIGINT"}]), 400,
         "each column needs a name of its own; SQL does not tell upper from lower case"),
    ],
)  # fmt: skip
async def test_registration_that_cannot_be_is_refused_and_changes_nothing(
    client: httpx.AsyncClient, api: RunningApi, files: S3ObjectStore, body: dict[str, Any], status: int, detail: str
) -> None:
    files.put("files/text.txt", b"no parquet")
    answer = await client.put("/v1/catalog/workers", json=body)
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)
    assert _catalog_keys(files) == {}
    assert {path.name for path in api.services.work_dir.iterdir()} <= {"sql"}, "nothing but the query workers' folder"


async def test_list_shows_what_this_process_has_done_at_once(client: httpx.AsyncClient, files: S3ObjectStore) -> None:
    await client.put("/v1/catalog/workers", json=_registration())
    listed = (await client.get("/v1/catalog")).json()
    assert [d["name"] for d in listed["datasets"]] == ["workers"]
    assert listed["datasets"][0]["row_count"] == 2
    assert (await client.delete("/v1/catalog/workers")).status_code == 204
    assert (await client.get("/v1/catalog")).json() == {"datasets": [], "broken": {}}


async def test_broken_manifest_is_named_and_harms_no_other(
    client: httpx.AsyncClient, files: S3ObjectStore, api: RunningApi
) -> None:
    await client.put("/v1/catalog/workers", json=_registration())
    files.put("catalog/manifests/damaged.json", b"{")
    api.services.watcher.refresh()
    listed = (await client.get("/v1/catalog")).json()
    assert [d["name"] for d in listed["datasets"]] == ["workers"]
    assert listed["broken"]["damaged"].startswith("'catalog/manifests/damaged.json' is not a manifest")
    assert (await client.get("/v1/catalog/workers")).status_code == 200
    assert (await client.get("/v1/catalog/damaged")).status_code == 500
    assert (await client.get("/health")).json()["parts"]["catalog"]["state"] == "degraded"


async def test_deleted_dataset_is_404_and_its_versions_stay(client: httpx.AsyncClient, files: S3ObjectStore) -> None:
    await client.put("/v1/catalog/workers", json=_registration())
    assert (await client.delete("/v1/catalog/workers")).status_code == 204
    gone = await client.get("/v1/catalog/workers")
    detail = "dataset 'workers' was deleted; ingest it again, or read an old version"
    assert (gone.status_code, gone.json()["detail"]) == (404, detail)
    assert (await client.get("/v1/catalog/workers?version=1")).status_code == 200
    assert (await client.delete("/v1/catalog/workers")).status_code == 404
    again = await client.put("/v1/catalog/workers", json=_registration())
    assert (again.status_code, again.json()["version"]) == (201, 2)
    versions = (await client.get("/v1/catalog/workers/versions")).json()["versions"]
    assert [v["version"] for v in versions] == [2, 1]


async def test_version_and_time_are_read_from_history(
    client: httpx.AsyncClient, files: S3ObjectStore, tmp_path: Path
) -> None:
    first = (await client.put("/v1/catalog/workers", json=_registration())).json()
    _put(files, tmp_path, "files/more.parquet", WORKERS.slice(0, 1))
    second = (await client.put("/v1/catalog/workers", json=_registration("files/more.parquet"))).json()
    assert (await client.get("/v1/catalog/workers", params={"version": 1})).json() == first
    assert (await client.get("/v1/catalog/workers", params={"as_of": first["updated_at"]})).json() == first
    assert (await client.get("/v1/catalog/workers", params={"as_of": second["updated_at"]})).json() == second
    unknown = await client.get("/v1/catalog/workers", params={"version": 3})
    detail = "dataset 'workers' has no version 3; the newest is 2"
    assert (unknown.status_code, unknown.json()["detail"]) == (404, detail)
    early = await client.get("/v1/catalog/workers", params={"as_of": "2001-01-01T00:00:00Z"})
    assert early.status_code == 404


async def test_version_past_the_history_is_410_with_the_oldest_time(
    client: httpx.AsyncClient, objects: S3ObjectStore
) -> None:
    now = utc_now()
    for days_ago in (30, 20, 1):
        moment = now - timedelta(days=days_ago)
        Catalog(objects, clock=lambda at=moment: at).commit(  # type: ignore[misc]
            "workers", lambda _: Draft((Column("a", "BIGINT"),), ())
        )
    gone = await client.get("/v1/catalog/workers", params={"version": 1})
    assert gone.status_code == 410
    oldest = datetime.fromisoformat(gone.json()["oldest"])
    assert oldest == (now - timedelta(days=20)).astimezone(UTC)
    assert gone.json()["detail"].startswith("version 1 of dataset 'workers' is past the history that is kept;")


@pytest.mark.parametrize(
    "query", ["version=0", "version=x", "as_of=2026-01-01T00:00:00", "as_of=yesterday",
              "version=1&as_of=2026-01-01T00:00:00Z"],
)  # fmt: skip
async def test_version_or_time_that_cannot_be_is_400(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"/v1/catalog/workers?{query}")).status_code == 400


async def test_scopes_decide_who_registers_and_deletes(api: RunningApi, files: S3ObjectStore) -> None:
    async with api.client(token="reader") as reader, api.client(token="writer") as writer:
        for method, json in (("PUT", _registration()), ("DELETE", None)):
            refused = await reader.request(method, "/v1/catalog/workers", json=json)
            assert (refused.status_code, refused.json()["detail"]) == (403, "token 'reader' lacks the scope 'write'")
        assert (await writer.get("/v1/catalog")).status_code == 403
        assert (await writer.put("/v1/catalog/workers", json=_registration())).status_code == 201
        assert (await reader.get("/v1/catalog/workers")).status_code == 200
