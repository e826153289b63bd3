"""`/v1/storage` as a client meets it, over a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import httpx
import orjson
import pytest
from starlette.requests import Request

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.storage.objects import list_all
from lakehouse_api.limits import BodyTimeout
from lakehouse_api.middleware_body import BodyLimitMiddleware
from lakehouse_api.spool import body_chunks
from tests.api import RunningApi, api_settings, call, running_api
from tests.servers import StoreServer
from tests.tokens import write_tokens_file

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def api(store_process: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningApi]:
    store = store_process.objects(bucket="storage-routes")
    folder = tmp_path_factory.mktemp("storage-routes")
    tokens = write_tokens_file(
        folder / "tokens.json", reader=["read"], writer=["write"], auditor=["read", "pii"], boss=["admin"]
    )
    settings = api_settings(
        store,
        folder,
        storage_put_max_bytes=1000,
        max_ingest_bytes=2000,
        storage_prefix_max_bytes='{"files/models/": 3000}',
        storage_puts_in_flight=2,
        tokens_file=tokens,
        log_level="error",
    )
    async with running_api(settings) as running:
        yield running
    store_process.drop_bucket("storage-routes")


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


def _keys(store: S3ObjectStore) -> list[str]:
    return [info.key for info in list_all(store, "")]


async def test_put_then_get_returns_the_same_bytes(client: httpx.AsyncClient, objects: S3ObjectStore) -> None:
    answer = await client.put("/v1/storage/files/a.txt", content=b"hello")
    assert answer.status_code == 200
    assert answer.json() == {"key": "files/a.txt", "size": 5, "etag": answer.json()["etag"]}
    assert objects.get("files/a.txt").body == b"hello"
    read = await client.get("/v1/storage/files/a.txt")
    assert (read.status_code, read.content) == (200, b"hello")
    assert read.headers["etag"] == f'"{answer.json()["etag"]}"'
    assert read.headers["content-length"] == "5"
    assert read.headers["x-content-type-options"] == "nosniff"


async def test_put_of_nothing_stores_an_empty_object(client: httpx.AsyncClient) -> None:
    assert (await client.put("/v1/storage/files/empty", content=b"")).json()["size"] == 0
    read = await client.get("/v1/storage/files/empty")
    assert (read.status_code, read.content) == (200, b"")


async def test_head_says_size_and_etag_without_a_body(client: httpx.AsyncClient) -> None:
    etag = (await client.put("/v1/storage/files/a", content=b"hello")).json()["etag"]
    head = await client.head("/v1/storage/files/a")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == "5"
    assert head.headers["etag"] == f'"{etag}"'
    assert (await client.head("/v1/storage/files/none")).status_code == 404
    for method in ("HEAD", "GET"):  # a condition asks the same of both
        for condition, status in (
            ({"If-None-Match": f'W/"{etag}"'}, 304), ({"If-None-Match": '"other"'}, 200), ({"If-Match": "*"}, 200),
            ({"If-Match": '"other"'}, 412),
        ):  # fmt: skip
            answer = await client.request(method, "/v1/storage/files/a", headers=condition)
            assert (answer.status_code, answer.headers.get("etag")) == (status, f'"{etag}"' if status < 400 else None)


@pytest.mark.parametrize(
    ("asked", "status", "body", "content_range"),
    [
        ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=5-99", 206, b"56789", "bytes 5-9/10"),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("rows=0-1", 200, b"0123456789", None),
        ("bytes=4-2", 200, b"0123456789", None),
    ],
)
async def test_range_is_answered_as_rfc_9110_has_it(
    client: httpx.AsyncClient, asked: str, status: int, body: bytes, content_range: str | None
) -> None:
    await client.put("/v1/storage/files/ten", content=b"0123456789")
    answer = await client.get("/v1/storage/files/ten", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (status, body)
    assert answer.headers.get("content-range") == content_range
    assert answer.headers["content-length"] == str(len(body))


async def test_range_behind_the_end_is_416(client: httpx.AsyncClient) -> None:
    await client.put("/v1/storage/files/ten", content=b"0123456789")
    answer = await client.get("/v1/storage/files/ten", headers={"Range": "bytes=10-"})
    assert answer.status_code == 416
    assert answer.json()["detail"] == "the object has 10 bytes; the range 'bytes=10-' lies behind them"
    assert answer.headers["content-range"] == "bytes */10"  # which tells a client that it has all of it


async def test_get_with_the_clients_etag_is_304(client: httpx.AsyncClient) -> None:
    etag = (await client.put("/v1/storage/files/a", content=b"hello")).json()["etag"]
    unchanged = await client.get("/v1/storage/files/a", headers={"If-None-Match": f'"{etag}"'})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    changed = await client.get("/v1/storage/files/a", headers={"If-None-Match": '"other"'})
    assert (changed.status_code, changed.content) == (200, b"hello")


async def test_put_over_a_foreign_etag_is_412_and_changes_nothing(client: httpx.AsyncClient) -> None:
    etag = (await client.put("/v1/storage/files/a", content=b"one")).json()["etag"]
    lost = await client.put("/v1/storage/files/a", content=b"two", headers={"If-Match": '"0123"'})
    assert lost.status_code == 412
    assert lost.json()["title"] == "Precondition failed"
    assert (lost.json()["detail"], lost.json()["etag"]) == (f"'files/a' has by now the ETag \"{etag}\"", etag)
    taken = await client.put("/v1/storage/files/a", content=b"two", headers={"If-None-Match": "*"})
    assert taken.status_code == 412
    assert taken.json()["detail"] == f"'files/a' is there already, with the ETag \"{etag}\""
    absent = await client.put("/v1/storage/files/b", content=b"two", headers={"If-Match": '"0123"'})
    assert absent.status_code == 412
    assert (await client.get("/v1/storage/files/a")).content == b"one"
    assert (await client.get("/v1/storage/files/b")).status_code == 404
    won = await client.put("/v1/storage/files/a", content=b"two", headers={"If-Match": f'"{etag}"'})
    assert won.status_code == 200
    assert (await client.put("/v1/storage/files/c", content=b"x", headers={"If-None-Match": "*"})).status_code == 200


@pytest.mark.parametrize(
    "condition",
    [
        {"If-None-Match": '"abc"'}, {"If-Match": "*"}, {"If-Match": 'W/"x"'}, {"If-Match": '"a"', "If-None-Match": "*"},
        {"If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"},
    ],
)  # fmt: skip
async def test_condition_of_another_form_is_refused(client: httpx.AsyncClient, condition: dict[str, str]) -> None:
    assert (await client.put("/v1/storage/files/a", content=b"x", headers=condition)).status_code == 400
    if "If-Unmodified-Since" in condition:
        assert (await client.delete("/v1/storage/files/a", headers=condition)).status_code == 400
    assert (await client.get("/v1/storage/files/a")).status_code == 404


async def test_delete_is_204_and_again_204(client: httpx.AsyncClient) -> None:
    await client.put("/v1/storage/files/a", content=b"x")
    assert (await client.delete("/v1/storage/files/a")).status_code == 204
    assert (await client.delete("/v1/storage/files/a")).status_code == 204
    missing = await client.get("/v1/storage/files/a")
    assert (missing.status_code, missing.json()["detail"]) == (404, "no object 'files/a'")


@pytest.mark.parametrize(
    "key", ["datasets/w/x.parquet", "catalog/manifests/w.json", "unknown/x", "landing", "filesx/a"]
)
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_writing_outside_the_users_prefixes_is_403(
    client: httpx.AsyncClient, objects: S3ObjectStore, method: str, key: str
) -> None:
    objects.put("catalog/manifests/w.json", b"{}")
    answer = await client.request(method, f"/v1/storage/{key}", content=b"x" if method == "PUT" else None)
    assert answer.status_code == 403
    assert answer.json()["detail"] == f"{key!r} cannot be written or deleted; keys under landing/ and files/ can"
    assert _keys(objects) == ["catalog/manifests/w.json"]
    assert objects.get("catalog/manifests/w.json").body == b"{}"


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b"files/../catalog/x", "a key must not contain '.' or '..' as a component"),
        (b"files/%2e%2e/x", "a key must not contain '.' or '..' as a component"),
        (b"files/./x", "a key must not contain '.' or '..' as a component"),
        (b"files/%2e", "a key must not contain '.' or '..' as a component"),
        (b"files//x", "a key must not contain an empty component ('//' or a trailing '/')"),
        (b"files/%2fx", "a key must not contain an empty component ('//' or a trailing '/')"),
        (b"files/", "a key must not contain an empty component ('//' or a trailing '/')"),
        (b"/files/x", "a key must not start with '/'"),
        (b"%2ffiles/x", "a key must not start with '/'"),
        (b"", "a key must not be empty"),
        (b"files/a%00b", "a key must not contain NUL"),
        (b"files/a%0ab", "a key must not contain control characters (CR, LF and tab among them)"),
        (b"files/a%0d%0ab", "a key must not contain control characters (CR, LF and tab among them)"),
        (b"files/a%09b", "a key must not contain control characters (CR, LF and tab among them)"),
        (b"files/a%7fb", "a key must not contain control characters (CR, LF and tab among them)"),
        (b"files/a%5cb", "a key must not contain a backslash"),
        (b"files/%ff", "a key must be valid UTF-8"),
        (b"files/" + b"a" * 256, "a component of a key has at most 255 bytes"),
        (b"files/" + b"a/" * 510 + b"a", "a key has at most 1024 bytes of UTF-8, this one has 1027"),
    ],
)
async def test_key_against_the_policy_is_400_and_names_the_rule(
    api: RunningApi, objects: S3ObjectStore, raw: bytes, rule: str
) -> None:
    for method, body in (("GET", b""), ("PUT", b"x"), ("DELETE", b"")):
        status, headers, answer = await call(api.app, method, b"/v1/storage/" + raw, body=body)
        assert status == 400
        assert headers["content-type"] == "application/problem+json"
        assert orjson.loads(answer)["rule"] == rule
    assert _keys(objects) == []


async def test_key_with_escapes_is_decoded_once(api: RunningApi, objects: S3ObjectStore) -> None:
    raw = b"/v1/storage/files/caf%C3%A9%20100%2525%3F%23+x%2Fy"
    status, _, _ = await call(api.app, "PUT", raw, body=b"x")
    assert status == 200
    assert _keys(objects) == ["files/café 100%25?#+x/y"]
    assert (await call(api.app, "GET", raw))[2] == b"x"


@pytest.mark.parametrize(("key", "cap"), [("files/a", 1000), ("landing/w/a.csv", 2000), ("files/models/a", 3000)])
async def test_put_over_the_cap_of_its_prefix_is_413(
    client: httpx.AsyncClient, objects: S3ObjectStore, key: str, cap: int
) -> None:
    assert (await client.put(f"/v1/storage/{key}", content=b"x" * cap)).status_code == 200
    objects.delete(key)
    answer = await client.put(f"/v1/storage/{key}", content=b"x" * (cap + 1))
    assert answer.status_code == 413
    assert answer.json()["detail"] == f"an object has at most {cap} bytes here, this one has {cap + 1}"
    assert answer.json()["max_bytes"] == cap
    assert _keys(objects) == []


async def test_declared_length_over_the_cap_is_refused_before_a_byte_is_read(api: RunningApi) -> None:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    async with api.client() as client:
        answer = await client.put("/v1/storage/files/a", content=unread(), headers={"Content-Length": "1001"})
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"


async def test_chunked_body_is_cut_off_at_the_cap(
    client: httpx.AsyncClient, api: RunningApi, objects: S3ObjectStore
) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while taken < 100_000:
            taken += 100
            yield b"x" * 100

    answer = await client.put("/v1/storage/files/a", content=endless())
    assert answer.status_code == 413
    assert answer.json()["detail"] == "an object has at most 1000 bytes here"
    assert taken == 1100
    assert _keys(objects) == []
    assert {path.name for path in api.services.work_dir.iterdir()} <= {"sql"}


async def test_one_put_too_many_is_503_at_once(
    client: httpx.AsyncClient, api: RunningApi, objects: S3ObjectStore
) -> None:
    release = anyio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        await release.wait()

    answers: list[httpx.Response] = []

    async def put(key: str) -> None:
        answers.append(await client.put(f"/v1/storage/files/{key}", content=slow()))

    async with anyio.create_task_group() as group:
        group.start_soon(put, "a")
        group.start_soon(put, "b")
        while api.services.put_gate.held < 2:
            await anyio.sleep(0.01)
        refused = await client.put("/v1/storage/files/c", content=b"x")
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"
        assert refused.json()["detail"] == "2 uploads are in flight already; try again in 5 s"
        release.set()
    assert [a.status_code for a in answers] == [200, 200]
    assert _keys(objects) == ["files/a", "files/b"]
    assert (await client.put("/v1/storage/files/c", content=b"x")).status_code == 200


async def test_client_that_vanishes_leaves_nothing(api: RunningApi, objects: S3ObjectStore) -> None:
    messages = [{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}]
    sent: list[object] = []

    async def receive() -> object:
        return messages.pop(0)

    async def send(message: object) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"authorization", b"Bearer test-token"), (b"content-length", b"10")]
    scope = {
        "type": "http", "method": "PUT", "scheme": "http", "http_version": "1.1", "root_path": "",
        "path": "/v1/storage/files/a", "raw_path": b"/v1/storage/files/a", "query_string": b"", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "asgi": {"version": "3.0"},
    }  # fmt: skip
    await api.app(scope, receive, send)  # type: ignore[arg-type]
    assert sent == []
    assert _keys(objects) == []
    assert {path.name for path in api.services.work_dir.iterdir()} <= {"sql"}
    assert api.services.put_gate.held == 0


async def test_listing_pages_and_says_so(client: httpx.AsyncClient, objects: S3ObjectStore) -> None:
    for key in ("files/a", "files/b", "files/c", "landing/x/y.csv"):
        objects.put(key, b"x")
    first = (await client.get("/v1/storage", params={"prefix": "files/", "limit": 2})).json()
    assert [k["key"] for k in first["keys"]] == ["files/a", "files/b"]
    assert (first["truncated"], first["next"]) == (True, "files/b")
    assert set(first["keys"][0]) == {"key", "size", "etag", "modified_at"}
    assert first["keys"][0]["modified_at"].endswith("Z")
    rest = (await client.get("/v1/storage", params={"prefix": "files/", "start_after": first["next"]})).json()
    assert [k["key"] for k in rest["keys"]] == ["files/c"]
    assert (rest["truncated"], rest["next"]) == (False, None)
    everything = (await client.get("/v1/storage")).json()
    assert [k["key"] for k in everything["keys"]] == ["files/a", "files/b", "files/c", "landing/x/y.csv"]


@pytest.mark.parametrize("limit", ["0", "-1", "10001", "x"])
async def test_listing_limit_out_of_range_is_400(client: httpx.AsyncClient, limit: str) -> None:
    answer = await client.get("/v1/storage", params={"limit": limit})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "query.limit"


async def test_listing_prefix_against_the_policy_is_400(client: httpx.AsyncClient) -> None:
    for prefix in ("/files", "files//", "files/../x", "a\\b"):
        assert (await client.get("/v1/storage", params={"prefix": prefix})).status_code == 400


async def test_reading_beside_files_needs_pii(api: RunningApi, objects: S3ObjectStore) -> None:
    keys = ("files/a", "landing/w/a.csv", "datasets/w/f/x.parquet", "quarantine/w/dt=2026-01-01/x.jsonl", "unknown/x")
    for key in keys:
        objects.put(key, b"x")
    async with api.client(token="reader") as reader, api.client(token="auditor") as auditor:
        for key in keys:
            allowed = key.startswith("files/")
            for method in ("GET", "HEAD"):
                assert (await reader.request(method, f"/v1/storage/{key}")).status_code == (200 if allowed else 403)
                assert (await auditor.request(method, f"/v1/storage/{key}")).status_code == 200
        refused = await reader.get("/v1/storage/datasets/none")  # known or not makes no difference
        assert refused.status_code == 403
        assert refused.json()["detail"] == "without the scope 'pii' only keys under files/ can be read or listed"
        assert (await reader.get("/v1/storage")).status_code == 403
        assert (await reader.get("/v1/storage", params={"prefix": "files/"})).status_code == 200
        assert (await auditor.get("/v1/storage")).status_code == 200


async def test_scopes_decide_who_reads_and_writes(api: RunningApi, objects: S3ObjectStore) -> None:
    objects.put("files/a", b"x")
    async with api.client(token="reader") as reader, api.client(token="writer") as writer:
        refused = await reader.put("/v1/storage/files/b", content=b"x")
        assert (refused.status_code, refused.json()["detail"]) == (403, "token 'reader' lacks the scope 'write'")
        assert (await reader.delete("/v1/storage/files/a")).status_code == 403
        assert (await writer.get("/v1/storage/files/a")).status_code == 403
        assert _keys(objects) == ["files/a"]
        assert (await writer.put("/v1/storage/files/b", content=b"x")).status_code == 200
    async with api.client(token="boss") as boss:
        assert (await boss.get("/v1/storage/files/a")).status_code == 200
        assert (await boss.get("/v1/storage/landing/a")).status_code == 403
        assert (await boss.delete("/v1/storage/files/a")).status_code == 204


async def test_client_that_stalls_is_given_up(api: RunningApi) -> None:
    async def never() -> dict[str, object]:
        await anyio.sleep_forever()
        return {}

    request = Request({"type": "http", "method": "PUT", "headers": []}, never)  # type: ignore[arg-type]
    with pytest.raises(BodyTimeout) as refusal:
        await anext(body_chunks(request, idle_timeout_s=0.01))
    assert refusal.value.status == 408
    assert refusal.value.detail == ("less than 1 KiB came within 0.01 s in the middle of the body; send it again")


async def test_resumed_download_of_a_replaced_object_is_whole(
    client: httpx.AsyncClient, objects: S3ObjectStore
) -> None:
    old = objects.put("files/a", b"old content")
    new = objects.put("files/a", b"NEW CONTENT")
    resumed = await client.get("/v1/storage/files/a", headers={"Range": "bytes=4-", "If-Range": f'"{old.etag}"'})
    assert (resumed.status_code, resumed.content) == (200, b"NEW CONTENT")
    same = await client.get("/v1/storage/files/a", headers={"Range": "bytes=4-", "If-Range": f'"{new.etag}"'})
    assert (same.status_code, same.content) == (206, b"CONTENT")


async def test_condition_on_another_content_is_412_and_changes_nothing(
    client: httpx.AsyncClient, objects: S3ObjectStore
) -> None:
    info = objects.put("files/a", b"content")
    for method in ("GET", "DELETE"):
        refused = await client.request(method, "/v1/storage/files/a", headers={"If-Match": '"other"'})
        assert refused.status_code == 412
        assert info.etag in refused.json()["detail"]
    assert objects.get("files/a").body == b"content"
    assert (await client.get("/v1/storage/files/a", headers={"If-Match": f'"{info.etag}"'})).status_code == 200
    assert (await client.delete("/v1/storage/files/a", headers={"If-Match": f'"{info.etag}"'})).status_code == 204
    assert objects.head("files/a") is None


async def test_stalled_json_body_is_408() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("the body never came")

    sent: list[Any] = []
    given = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> Any:
        return given.pop() if given else await anyio.sleep_forever()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/sql", "headers": [(b"content-length", b"9")], "state": {}}
    await BodyLimitMiddleware(app, idle_timeout_s=0.01)(scope, receive, send)
    assert sent[0]["status"] == 408
