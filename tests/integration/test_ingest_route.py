"""`/v1/ingest` as a client meets it, over a real store and a real conversion child."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import httpx
import orjson
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.storage.objects import list_all
from tests.api import RunningApi, api_settings, running_api
from tests.servers import StoreServer
from tests.tokens import write_tokens_file

pytestmark = pytest.mark.anyio
BOUNDARY = b"XbX"
MAX_BYTES = 300_000


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def api(store_process: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningApi]:
    store = store_process.objects(bucket="ingest-route")
    folder = tmp_path_factory.mktemp("ingest-route")
    tokens = write_tokens_file(folder / "tokens.json", reader=["read"])
    settings = api_settings(store, folder, max_ingest_bytes=MAX_BYTES, tokens_file=tokens, log_level="error")
    async with running_api(settings) as running:
        yield running
    store_process.drop_bucket("ingest-route")


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


async def post(client: httpx.AsyncClient, body: bytes, *, file_name: str = "d.csv", **params: Any) -> httpx.Response:
    return await client.post(
        "/v1/ingest", params={"name": "d", **params}, files={"file": (file_name, body)}, timeout=60
    )


def form(body: bytes, *, disposition: bytes = b'form-data; name="file"; filename="d.csv"', end: bytes = b"--") -> bytes:
    """A multipart body by hand."""
    return b"--%b\r\nContent-Disposition: %b\r\n\r\n%b\r\n--%b%b\r\n" % (BOUNDARY, disposition, body, BOUNDARY, end)


async def post_raw(client: httpx.AsyncClient, body: Any, **headers: str) -> httpx.Response:
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}
    return await client.post("/v1/ingest?name=d", content=body, headers=kind | headers, timeout=60)


def keys(store: S3ObjectStore) -> list[str]:
    return [info.key for info in list_all(store, "")]


def is_at_rest(api: RunningApi) -> bool:
    work = api.services.work_dir
    return api.services.ingest_gate.held == 0 and not [*work.glob("upload-*"), *work.glob("ingest-*")]


async def test_file_becomes_a_dataset(client: httpx.AsyncClient, api: RunningApi, objects: S3ObjectStore) -> None:
    answer = await post(client, b"id,code\n1,007\n2,\n")
    body = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, "/v1/catalog/d")
    stored = list(list_all(objects, "datasets/"))
    assert {**body, "schema_fingerprint": "", "dataset_id": ""} == {
        "dataset_id": "", "name": "d", "schema_fingerprint": "", "row_count": 2, "bytes": stored[0].size, "objects": 1,
        "version": 1, "existing": False, "quarantined": 0, "quarantine_keys": [],
    }  # fmt: skip
    assert stored[0].key.startswith(f"datasets/d/{body['schema_fingerprint']}/")
    manifest = (await client.get("/v1/catalog/d")).json()
    assert manifest["dataset_id"] == body["dataset_id"]
    assert [(c["name"], c["type"]) for c in manifest["columns"]] == [("id", "BIGINT"), ("code", "VARCHAR")]
    assert is_at_rest(api)


@pytest.mark.parametrize("mode", ["replace", "append"])
async def test_same_file_again_exists(client: httpx.AsyncClient, mode: str) -> None:
    first = await post(client, b"id,t\n1,a\n", mode=mode)
    again = await post(client, b"id,t\n1,a\n", mode=mode)
    assert (again.status_code, again.json()) == (200, {**first.json(), "existing": True})


async def test_options_reach_the_reader(client: httpx.AsyncClient) -> None:
    body = "näme;n\ncafé;1\n".encode("latin-1")
    answer = await post(client, body, encoding="latin-1", delimiter=";", types='{"n": "DOUBLE"}')
    assert answer.status_code in (200, 201)
    columns = (await client.get("/v1/catalog/d")).json()["columns"]
    assert [(c["name"], c["type"]) for c in columns] == [("näme", "VARCHAR"), ("n", "DOUBLE")]


@pytest.mark.parametrize(
    ("file_name", "content_type", "params", "body"),
    [
        ("d.tsv", "text/plain", {}, b"a\tb\n1\tx\n"),
        ("upload", "text/tab-separated-values", {}, b"a\tb\n1\tx\n"),
        ("d.jsonl", "application/octet-stream", {}, b'{"a": 1, "b": "x"}\n'),
        ("upload", "application/x-ndjson", {}, b'{"a": 1, "b": "x"}\n'),
        ("upload", "application/json; charset=utf-8", {}, b'[{"a": 1, "b": "x"}]'),
        ("d.bin", "text/plain", {"format": "jsonl"}, b'{"a": 1, "b": "x"}\n'),
        ("", "", {}, b"a,b\n1,x\n"),
    ],
)
async def test_format_follows_suffix_then_content_type(
    client: httpx.AsyncClient, file_name: str, content_type: str, params: dict[str, str], body: bytes
) -> None:
    part = (file_name, body, content_type) if content_type else (file_name or "f", body)
    answer = await client.post("/v1/ingest", params={"name": "d", **params}, files={"file": part})
    assert (answer.status_code, answer.json().get("row_count")) == (201, 1)
    columns = (await client.get("/v1/catalog/d")).json()["columns"]
    assert [(c["name"], c["type"]) for c in columns] == [("a", "BIGINT"), ("b", "VARCHAR")]


@pytest.mark.parametrize(
    ("body", "line", "record"),
    [
        (b"", 1, 0), (b"a,b\n1,caf\xe9\n", 2, 1), (b"a,b\n1,2\n3\n", 3, 2), (b"a,a\n1,2\n", 1, 0), (b"a,\n1,2\n", 1, 0),
        (b'a,b\n1,"2\n3,4\n', 2, 1), (b"a,b\n1,\x00\n", 2, 1),
    ],
)  # fmt: skip
async def test_bad_file_is_422_with_its_place(
    client: httpx.AsyncClient, api: RunningApi, objects: S3ObjectStore, body: bytes, line: int, record: int
) -> None:
    answer = await post(client, body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["line"], answer.json()["record"]) == (line, record)
    assert keys(objects) == []
    assert is_at_rest(api)
    assert (await client.get("/v1/catalog/d")).status_code == 404


async def test_drift_is_409_with_the_diff_until_it_is_accepted(client: httpx.AsyncClient) -> None:
    await post(client, b"n,t\n1,a\n")
    before = (await client.get("/v1/catalog/d")).json()
    answer = await post(client, b"n,t\n2,b\nx3,c\n")
    problem = answer.json()
    assert (answer.status_code, problem["accept"]) == (409, "evolve=true")
    retyped = {"name": "n", "from": "BIGINT", "to": "VARCHAR", "value": "x3", "line": 3}
    assert problem["diff"] == {"added": [], "gone": [], "retyped": [retyped]}
    assert (await client.get("/v1/catalog/d")).json() == before
    accepted = await post(client, b"n,t\n2,b\nx3,c\n", evolve="true")
    assert (accepted.status_code, accepted.json()["version"]) == (200, 2)
    assert accepted.json()["schema_fingerprint"] != before["schema_fingerprint"]


async def test_quarantine_counts_stand_in_the_answer(client: httpx.AsyncClient, objects: S3ObjectStore) -> None:
    answer = (await post(client, b"n,t\n1,a\n2\n", on_error="quarantine")).json()
    assert (answer["row_count"], answer["quarantined"], len(answer["quarantine_keys"])) == (1, 1, 1)
    line = orjson.loads(objects.get(answer["quarantine_keys"][0]).body)
    assert (line["raw"], line["line"], line["origin"]) == ("2", 3, "d.csv")


async def test_replace_of_a_dataset_that_landing_feeds_is_409(api: RunningApi, client: httpx.AsyncClient) -> None:
    await client.put("/v1/storage/landing/d/a.csv", content=b"id,t\n1,a\n")
    await anyio.to_thread.run_sync(lambda: api.services.ingester.sync_landing("d", actor="sensor"))
    answer = await post(client, b"id,t\n2,b\n")
    assert (answer.status_code, "landing/d/" in answer.json()["detail"]) == (409, True)
    assert (await post(client, b"id,t\n2,b\n", mode="append")).json()["row_count"] == 2


@pytest.mark.parametrize(
    "params",
    [
        {"name": "Bad-Name"}, {"name": "evidence"}, {"encoding": "klingon"}, {"delimiter": "ab"}, {"types": "{"},
        {"types": '{"a": "INT"}'}, {"mode": "merge"}, {"on_error": "ignore"}, {"format": "xlsx"},
    ],
)  # fmt: skip
async def test_wrong_option_is_400_before_the_body_is_read(
    client: httpx.AsyncClient, api: RunningApi, params: dict[str, str]
) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        sent += 1
        yield form(b"a,b\n1,2\n")

    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}
    answer = await client.post("/v1/ingest", params={"name": "d", **params}, content=body(), headers=kind)
    assert answer.status_code == 400
    assert next(iter(params.values())) in answer.text or next(iter(params)) in answer.text
    assert sent == 0
    assert is_at_rest(api)


async def test_declared_length_over_the_cap_is_413_before_a_byte(client: httpx.AsyncClient, api: RunningApi) -> None:
    async def body() -> AsyncIterator[bytes]:
        pytest.fail("the body was read")
        yield b""

    answer = await post_raw(client, body(), **{"Content-Length": str(MAX_BYTES * 2)})
    assert (answer.status_code, answer.json()["max_bytes"]) == (413, MAX_BYTES)
    assert is_at_rest(api)


async def test_chunked_body_is_cut_off_at_the_cap(
    client: httpx.AsyncClient, api: RunningApi, objects: S3ObjectStore
) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        yield form(b"a,b\n", end=b"").partition(b"\r\n--XbX")[0]
        while sent < 1000:
            sent += 1
            yield b"1,2\n" * 2500

    answer = await post_raw(client, body())
    assert (answer.status_code, answer.json()["max_bytes"]) == (413, MAX_BYTES)
    assert sent < 100
    assert keys(objects) == []
    assert is_at_rest(api)


async def test_file_of_exactly_the_cap_is_taken(client: httpx.AsyncClient) -> None:
    body = b"a,b\n" + b"12,45678\n" * ((MAX_BYTES - 4) // 9)
    assert (await post(client, body.ljust(MAX_BYTES, b"\n"))).is_success
    assert (await post(client, body.ljust(MAX_BYTES + 1, b"\n"))).status_code == 413


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (form(b"a,b\n1,2\n", disposition=b'form-data; name="other"'), "no field 'file'"),
        (form(b"a,b\n1,2\n")[:-8], "before its closing boundary"),
        (form(b"a,b\n1,2\n", end=b"")[:-2] + form(b"a,b\n1,2\n")[5:], "more than one field"),
        (b"no form at all", "multipart"),
        (b"", "multipart"),
        (form(b"x" * 100_000, disposition=b'form-data; name="other"'), "more than 65536 bytes beside"),
    ],
)
async def test_body_that_is_no_form_with_one_file_is_400(
    client: httpx.AsyncClient, api: RunningApi, objects: S3ObjectStore, body: bytes, says: str
) -> None:
    answer = await post_raw(client, body)
    assert (answer.status_code, says in answer.text) == (400, True), answer.text
    assert keys(objects) == []
    assert is_at_rest(api)


async def test_body_of_another_type_is_400(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/ingest?name=d", content=b"a,b\n1,2\n", headers={"Content-Type": "text/csv"})
    assert (answer.status_code, "multipart/form-data" in answer.text) == (400, True)


async def test_file_in_bytes_of_one_is_read_the_same(client: httpx.AsyncClient) -> None:
    async def body() -> AsyncIterator[bytes]:
        for byte in form(b'a,b\r\n1,"--XbX\r\n--XbY"\r\n'):
            yield bytes([byte])

    answer = await post_raw(client, body())
    assert (answer.status_code, answer.json()["row_count"]) == (201, 1)


async def test_client_that_vanishes_leaves_nothing(api: RunningApi, objects: S3ObjectStore) -> None:
    part = form(b"a,b\n1,2\n")[:40]
    messages = [{"type": "http.request", "body": part, "more_body": True}, {"type": "http.disconnect"}]
    sent: list[object] = []

    async def receive() -> object:
        return messages.pop(0)

    async def send(message: object) -> None:
        sent.append(message)

    headers = [
        (b"host", b"127.0.0.1"), (b"authorization", b"Bearer test-token"), (b"content-length", b"1000"),
        (b"content-type", b"multipart/form-data; boundary=XbX"),
    ]  # fmt: skip
    scope = {
        "type": "http", "method": "POST", "scheme": "http", "http_version": "1.1", "root_path": "",
        "path": "/v1/ingest", "raw_path": b"/v1/ingest", "query_string": b"name=d", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "asgi": {"version": "3.0"},
    }  # fmt: skip
    await api.app(scope, receive, send)  # type: ignore[arg-type]
    assert sent == []
    assert keys(objects) == []
    assert is_at_rest(api)


async def test_two_at_once_on_one_name_lose_no_version(client: httpx.AsyncClient) -> None:
    await post(client, b"id,t\n0,x\n")
    answers: list[httpx.Response] = []

    async def append(number: int) -> None:
        answers.append(await post(client, b"id,t\n%d,x\n" % number, mode="append"))

    async with anyio.create_task_group() as group:
        group.start_soon(append, 1)
        group.start_soon(append, 2)
    assert sorted((a.status_code, a.json()["version"]) for a in answers) == [(200, 2), (200, 3)]
    manifest = (await client.get("/v1/catalog/d")).json()
    assert (manifest["row_count"], len(manifest["objects"])) == (3, 3)


async def test_many_at_once_take_their_turns(api: RunningApi, client: httpx.AsyncClient) -> None:
    answers: list[int] = []

    async def append(number: int) -> None:
        answers.append((await post(client, b"id,t\n%d,x\n" % number, name=f"d{number}")).status_code)

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(append, number)
    assert answers == [201] * 8
    assert api.services.ingest_gate.held == 0


async def test_ingest_that_finds_no_place_in_time_is_503(
    api: RunningApi, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = api.services.settings.model_copy(update={"ingest_queue_timeout_s": 0.01})
    monkeypatch.setattr(api.services, "settings", settings)
    with api.services.ingest_gate.hold(), api.services.ingest_gate.hold():
        answer = await post(client, b"id,t\n1,x\n")
    assert (answer.status_code, answer.headers["retry-after"].isdecimal()) == (503, True)
    assert (await post(client, b"id,t\n1,x\n")).status_code == 201


async def test_token_without_the_scope_is_403(api: RunningApi, objects: S3ObjectStore) -> None:
    async with api.client(token="reader") as reader:
        assert (await post(reader, b"id,t\n1,x\n")).status_code == 403
    assert keys(objects) == []


async def test_unknown_parameter_is_refused_by_name(client: httpx.AsyncClient) -> None:
    answer = await post(client, b"a\n1\n", on_eror="quarantine")
    assert answer.status_code == 400
    assert "there is no parameter 'on_eror'; did you mean 'on_error'?" in answer.json()["detail"]


async def test_boundary_that_is_too_long_is_refused(client: httpx.AsyncClient) -> None:
    answer = await post_raw(client, b"", **{"Content-Type": f"multipart/form-data; boundary={'b' * 300}"})
    assert answer.status_code == 400


async def test_preamble_before_the_first_boundary_is_skipped(client: httpx.AsyncClient) -> None:
    answer = await post_raw(client, b"for old readers\r\n" + form(b"a\n1\n"))
    assert (answer.status_code, answer.json().get("row_count")) == (201, 1)
