"""What holds for every route: tokens, hosts, origins, proxies, sub-paths, ids, limits, problem documents."""

from __future__ import annotations

import gzip
import json
import logging
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import httpx
import pytest
from blockbuster import blockbuster_ctx
from fastapi import FastAPI

from lakehouse.adapters.objects import S3ObjectStore
from tests.api import RunningApi, api_settings, call, running_api
from tests.servers import StoreServer

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    yield store_process.objects(bucket="door")
    store_process.drop_bucket("door")


@pytest.fixture(scope="module")
async def api(store: S3ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningApi]:
    settings = api_settings(
        store,
        tmp_path_factory.mktemp("door"),
        allowed_hosts="127.0.0.1,lake.example.org",
        allowed_origins="https://app.example.org",
        trusted_proxies="10.9.0.0/16",
        allowed_cidrs="127.0.0.1,192.0.2.0/24",
    )
    async with running_api(settings) as running:
        yield running


def _problem(answer: httpx.Response) -> dict[str, object]:
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, object] = answer.json()
    assert document["status"] == answer.status_code
    assert document["request_id"] == answer.headers["x-request-id"]
    assert document["type"] == "about:blank"
    return document


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/catalog"), ("GET", "/v1/storage"), ("PUT", "/v1/storage/files/a"), ("GET", "/metrics"),
        ("GET", "/docs"), ("GET", "/redoc"), ("GET", "/openapi.json"), ("GET", "/"), ("GET", "/nowhere"),
        ("POST", "/health"), ("GET", "/health/"), ("GET", "//health"), ("GET", "/health/../v1/catalog"),
    ],
)  # fmt: skip
async def test_no_token_is_401_everywhere_but_health(api: RunningApi, method: str, path: str) -> None:
    if (method, path) == ("POST", "/health"):
        status, _, _ = await call(api.app, method, path.encode(), headers={"authorization": ""})
        assert status == 405
        return
    status, headers, body = await call(api.app, method, path.encode(), headers={"authorization": ""})
    assert status == 401
    assert headers["www-authenticate"] == 'Bearer realm="lakehouse"'
    assert json.loads(body)["detail"] == "a token is needed: send the header 'Authorization: Bearer <token>'"


async def test_health_is_open_to_all_and_keeps_secrets(api: RunningApi) -> None:
    async with api.client(token=None, address="203.0.113.9") as stranger:
        answer = await stranger.get("/health")
    assert answer.status_code in (200, 503)
    location = api.services.objects.location
    for secret in (location.secret_access_key, location.access_key_id, location.endpoint, "test-token", "/tmp"):
        assert str(secret) not in answer.text


async def test_health_is_ok_once_the_store_has_answered(api: RunningApi) -> None:
    async with api.client() as client:
        with anyio.fail_after(60):
            while (answer := await client.get("/health")).json()["status"] != "ok":
                await anyio.sleep(0.05)
    document = answer.json()
    assert answer.status_code == 200
    assert set(document["parts"]) == {
        "store", "catalog", "sql", "embedding", "corpora", "memory", "pathways", "event_log", "disk",
    }  # fmt: skip


async def test_health_is_unavailable_when_the_event_log_has_failed(store: S3ObjectStore, tmp_path: Path) -> None:
    async with running_api(api_settings(store, tmp_path)) as api, api.client() as client:
        api.services.events.has_failed = True  # type: ignore[attr-defined]
        answer = await client.get("/health")
    assert answer.status_code == 503
    part = answer.json()["parts"]["event_log"]
    assert (part["state"], part["detail"]) == (
        "unavailable",
        "the event log has failed; restart the API, its log says why",
    )


async def test_wrong_address_is_403(api: RunningApi) -> None:
    async with api.client(address="203.0.113.9") as client:
        answer = await client.get("/v1/catalog")
    assert answer.status_code == 403
    assert _problem(answer)["detail"] == "address '203.0.113.9' is not in LAKEHOUSE_ALLOWED_CIDRS"


@pytest.mark.parametrize(
    ("peer", "forwarded", "status"),
    [
        ("10.9.0.1", "192.0.2.5", 200),
        ("10.9.0.1", "203.0.113.9", 403),
        ("10.9.0.1", "192.0.2.5, 203.0.113.9", 403),  # what the client claims does not count
        ("10.9.0.1", "203.0.113.9, 192.0.2.5", 200),
        ("10.9.0.1", "192.0.2.5, 10.9.0.2", 200),  # a chain of trusted proxies
        ("10.9.0.1", "nonsense", 403),
        ("10.9.0.1", None, 403),
        ("203.0.113.9", "192.0.2.5", 403),  # not a trusted proxy
        ("127.0.0.1", "203.0.113.9", 200),  # not a trusted proxy either: its own address counts
    ],
)
async def test_forwarded_address_counts_from_trusted_proxies_only(
    api: RunningApi, peer: str, forwarded: str | None, status: int
) -> None:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    async with api.client(address=peer) as client:
        assert (await client.get("/v1/catalog", headers=headers)).status_code == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200), ("127.0.0.1:8000", 200), ("lake.example.org", 200), ("LAKE.example.org:443", 200),
        ("evil.example.org", 403), ("127.0.0.1.evil.org", 403), ("lake.example.org.evil.org", 403), ("", 403),
        ("[::1]", 403), ("127.0.0.1@evil.org", 403),
    ],
)  # fmt: skip
async def test_host_must_be_on_the_list(api: RunningApi, host: str, status: int) -> None:
    for path in (b"/v1/catalog", b"/health"):
        answered, _, body = await call(api.app, "GET", path, headers={"host": host})
        assert answered == status
        if status == 403:
            expected = f"host {host!r} is not answered to; LAKEHOUSE_ALLOWED_HOSTS lists those that are"
            assert json.loads(body)["detail"] == expected


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1", 200), ("https://app.example.org", 200), ("http://127.0.0.1:9999", 403),
        ("https://evil.example.org", 403), ("null", 403), ("https://app.example.org.evil.org", 403),
        ("http://[", 403), ("http://]", 403), ("//127.0.0.1", 403), ("127.0.0.1", 403),
    ],
)  # fmt: skip
async def test_web_page_of_another_origin_is_403(api: RunningApi, origin: str, status: int) -> None:
    async with api.client(Origin=origin) as client:
        answer = await client.get("/v1/catalog")
        assert answer.status_code == status
        if status == 403:
            assert str(_problem(answer)["detail"]).startswith(f"web pages of {origin!r} may not call this API")


async def test_preflight_of_an_allowed_page_is_answered_and_of_another_refused(api: RunningApi) -> None:
    async with api.client(token=None) as client:
        asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
        allowed = await client.options("/v1/catalog/workers", headers={"Origin": "https://app.example.org", **asked})
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "https://app.example.org"
        refused = await client.options("/v1/catalog/workers", headers={"Origin": "https://evil.example.org", **asked})
        assert refused.status_code == 400
        assert "access-control-allow-origin" not in refused.headers


async def test_no_token_set_answers_to_this_machine_alone(store: S3ObjectStore, tmp_path: Path) -> None:
    async with running_api(api_settings(store, tmp_path, auth_token=None)) as api:
        async with api.client(token=None) as local:
            assert (await local.get("/v1/catalog")).status_code == 200
        async with api.client(token=None, address="192.0.2.1") as remote:
            refused = await remote.get("/v1/catalog")
            assert refused.status_code == 403
            assert "set AUTH_TOKEN" in str(_problem(refused)["detail"])


async def test_request_id_is_taken_when_sane_and_made_otherwise(api: RunningApi) -> None:
    async with api.client() as client:
        assert (await client.get("/health", headers={"X-Request-Id": "abc-1.2:3"})).headers[
            "x-request-id"
        ] == "abc-1.2:3"
        for odd in ("a b", "x" * 129, "<script>", ""):
            made = (await client.get("/health", headers={"X-Request-Id": odd})).headers["x-request-id"]
            assert made != odd
            assert len(made) == 36


async def test_unknown_route_and_wrong_method_are_problems(api: RunningApi) -> None:
    async with api.client() as client:
        unknown = await client.get("/v1/nowhere?secret=1")
        assert unknown.status_code == 404
        detail = "there is no route GET /v1/nowhere; /openapi.json lists those there are"
        assert (_problem(unknown)["detail"], _problem(unknown)["instance"]) == (detail, "/v1/nowhere")
        wrong = await client.post("/v1/catalog")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD")
        assert _problem(wrong)["detail"] == "POST is not allowed here; GET, HEAD are"


async def test_wrong_method_is_told_all_that_are_right(api: RunningApi) -> None:
    """Several routes may have one path, and a route with a name in it may stand before one without."""
    async with api.client() as client:
        several = await client.request("PATCH", "/v1/storage/files/a")
        assert (several.status_code, several.headers["allow"]) == (405, "DELETE, GET, HEAD, PUT")
        assert _problem(several)["detail"] == "PATCH is not allowed here; DELETE, GET, HEAD, PUT are"
        shadowed = await client.put("/v1/pathway/add", json={})
        assert "POST" in shadowed.headers["allow"].split(", ")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/health", 200), ("/metrics", 200), ("/v1/catalog", 200), ("/v1/vectors/index", 200), ("/v1/storage", 200),
        ("/v1/models", 200), ("/v1/observer/stats", 200), ("/v1/catalog/nowhere", 404), ("/v1/nowhere", 404),
        ("/v1/catalog?limt=1", 400), ("/v1/sql", 405), ("/v1/matrix/search", 405),
    ],
)  # fmt: skip
async def test_head_is_the_answer_to_get_without_its_body(api: RunningApi, path: str, status: int) -> None:
    async with api.client(**{"X-Request-Id": "r"}) as client:
        got, headed = await client.get(path), await client.head(path)
        refused = await client.head(path, headers={"Authorization": ""})
    assert (headed.status_code, headed.content) == (got.status_code, b"") == (status, b"")
    assert headed.headers.keys() == got.headers.keys()
    assert headed.headers["content-type"] == got.headers["content-type"]
    assert int(headed.headers["content-length"]) > 0
    assert headed.headers.get("allow") == got.headers.get("allow")
    assert refused.status_code == (200 if path == "/health" else 401)


async def test_head_is_logged_as_such_under_the_route_of_get(
    api: RunningApi, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger("lakehouse.access").setLevel(logging.INFO)
    async with api.client() as client:
        await client.head("/v1/catalog/nowhere")
    api.services.access_log.flush()
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    said = [line[name] for name in ("method", "path", "route", "status", "bytes_out")]
    assert said == ["HEAD", "/v1/catalog/nowhere", "/v1/catalog/{name}", 404, 0]


@pytest.mark.parametrize("path", ["/v1/sql", "/v1/pathway/add", "/v1/chat/completions"])
async def test_compressed_body_is_told_to_come_plain(api: RunningApi, path: str) -> None:
    packed = gzip.compress(b'{"sql": "SELECT 1"}')
    headers = {"Content-Type": "application/json"}
    async with api.client() as client:
        for encoding in ("gzip", "br", "zstd, identity"):
            answer = await client.post(path, content=packed, headers={**headers, "Content-Encoding": encoding})
            assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
            told = answer.json()
            assert f"(Content-Encoding: {encoding})" in str(told.get("detail") or told["error"]["message"])
        plain = await client.post(path, content=b"{}", headers={**headers, "Content-Encoding": "identity"})
        assert plain.status_code == 400
        untold = await client.post("/v1/pathway/add", content=packed, headers=headers)
    assert (untold.status_code, _problem(untold)["detail"]) == (
        400,
        "the body is not JSON: it is compressed (gzip), and compressed bodies are not read; send it plain",
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"sql": "\xff"}', "codec"),
        (b"[" * 5000 + b"]" * 5000, "nested too deep"),
        (b'{"sql": "SELECT 1", "max_rows": ' + b"9" * 5000 + b"}", "more digits than are read"),
        (b'{"sql": "SELECT \'a\\u0000b\'"}', "it holds a NUL character"),
    ],
)
async def test_body_that_cannot_be_read_says_what_is_wrong(api: RunningApi, body: bytes, said: str) -> None:
    async with api.client() as client:
        answer = await client.post("/v1/sql", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert said in str(_problem(answer)["detail"])


@pytest.mark.parametrize("path", ["/v1/matrix/search", "/v1/sql"])
async def test_byte_order_mark_before_a_body_is_passed_over(api: RunningApi, path: str) -> None:
    body = b'{"query": "a", "corpora": ["none"]}' if path == "/v1/matrix/search" else b'{"sql": "SELECT 1"}'
    headers = {"Content-Type": "application/json"}
    async with api.client() as client:
        plain, marked, twice = [
            await client.post(path, content=mark + body, headers=headers) for mark in (b"", BOM_UTF8, BOM_UTF8 * 20_000)
        ]
    assert (marked.status_code, twice.status_code) == (plain.status_code, 400)
    assert plain.status_code == (404 if path == "/v1/matrix/search" else 200)


@pytest.mark.parametrize("sent", ["application/x-www-form-urlencoded", "text/plain", None])
async def test_json_under_another_content_type_is_told_which_header_to_send(api: RunningApi, sent: str | None) -> None:
    """What `curl -d` sends without `-H`."""
    async with api.client() as client:
        headers = {} if sent is None else {"Content-Type": sent}
        answer = await client.post("/v1/sql", content=b'{"sql": "SELECT 1"}', headers=headers)
    assert answer.status_code == 400
    assert str(_problem(answer)["detail"]).startswith(
        "the body is read with the header 'Content-Type: application/json' alone"
    )


async def test_half_of_a_surrogate_pair_in_what_is_refused_is_a_problem_and_no_fault(api: RunningApi) -> None:
    headers = {"Content-Type": "application/json"}
    async with api.client() as client:
        answer = await client.post("/v1/observer/workflow/run", content=b'{"workflow": "\\ud800"}', headers=headers)
    assert answer.status_code in (400, 404)
    assert "workflow" in str(_problem(answer)["detail"])


async def test_malformed_json_is_400_with_the_place(api: RunningApi) -> None:
    async with api.client() as client:
        headers = {"Content-Type": "application/json"}
        broken = await client.put("/v1/catalog/workers", content=b'{"columns": [', headers=headers)
        assert broken.status_code == 400
        assert _problem(broken)["detail"] == "the body is not JSON: Expecting value at character 13"
        missing = await client.put("/v1/catalog/workers", json={"columns": []})
        assert missing.status_code == 400
        assert {"field": "body.objects", "reason": "Field required"} in missing.json()["errors"]
        unknown = await client.put("/v1/catalog/workers", json={"columns": [], "objects": [], "evolve": True})
        assert {"field": "body.evolve", "reason": "Extra inputs are not permitted"} in unknown.json()["errors"]
        assert unknown.json()["detail"].endswith("; fields of the body are columns, objects")


async def test_json_body_past_a_mebibyte_is_413(api: RunningApi) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 100_000

    async with api.client() as client:
        for content in (b" " * (1 << 20) + b"{}", endless()):
            headers = {"Content-Type": "application/json"}
            answer = await client.put("/v1/catalog/workers", content=content, headers=headers)
            assert answer.status_code == 413
            assert _problem(answer)["detail"] == "a JSON body has at most 1048576 bytes here"


async def test_fault_of_ours_is_500_without_details(
    store: S3ObjectStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_api(api_settings(store, tmp_path)) as api:
        _add_fault(api.app)
        async with api.client() as client:
            answer = await client.get("/v1/fault", headers={"X-Request-Id": "find-me"})
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    expected = "the server failed at this request; its log has the details under the request id"
    assert _problem(answer)["detail"] == expected
    logged = capsys.readouterr().out
    assert "secret detail" in logged
    assert "find-me" in logged


def _add_fault(app: FastAPI) -> None:
    async def fault() -> None:
        raise RuntimeError("secret detail")

    app.add_api_route("/v1/fault", fault)


@pytest.mark.parametrize("prefix", ["", "/lake/house"])
async def test_sub_path_works_whether_or_not_the_proxy_strips_it(
    store: S3ObjectStore, tmp_path: Path, prefix: str
) -> None:
    async with running_api(api_settings(store, tmp_path, root_path="/lake/house")) as api, api.client() as client:
        assert (await client.get(f"{prefix}/health")).status_code in (200, 503)
        assert (await client.put(f"{prefix}/v1/storage/files/a%20b", content=b"x")).json()["key"] == "files/a b"
        assert (await client.get(f"{prefix}/v1/storage/files/a%20b")).content == b"x"
        missing = await client.get(f"{prefix}/v1/catalog/none")
        assert missing.json()["instance"] == "/lake/house/v1/catalog/none"
        document = (await client.get(f"{prefix}/openapi.json")).json()
        assert document["servers"] == [{"url": "/lake/house"}]
        assert "/v1/catalog" in document["paths"]
        assert (await client.get(f"{prefix}/docs")).headers["location"] == "/lake/house/ui/docs"
        assert (await client.put(f"{prefix}/v1/storage/datasets/a", content=b"x")).status_code == 403
        big = await client.put(f"{prefix}/v1/storage/files/big", content=b"x" * (2 << 20))
        assert big.status_code == 200  # the cap on JSON bodies is not that of uploads
        await client.delete("/v1/storage/files/a%20b")
        await client.delete("/v1/storage/files/big")


async def test_metrics_count_by_route_template(api: RunningApi) -> None:
    async with api.client() as client:
        await client.get("/v1/catalog/one_dataset")
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'lakehouse_http_request_seconds_count{method="GET",route="/v1/catalog/{name}",status="404"}' in answer.text
    assert "one_dataset" not in answer.text
    assert "lakehouse_http_in_flight 1.0" in answer.text
    assert "lakehouse_disk_percent" in answer.text


async def test_access_log_has_no_query_and_no_token(api: RunningApi, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("lakehouse.access").setLevel(logging.INFO)
    async with api.client() as client:
        await client.get("/v1/storage", params={"prefix": "files/hidden-text"}, headers={"X-Task-Id": "task-7"})
    api.services.access_log.flush()
    logged = capsys.readouterr().out
    assert "/v1/storage" in logged
    assert "task-7" in logged
    assert "hidden-text" not in logged
    assert "test-token" not in logged


async def test_main_routes_do_not_block_the_event_loop(api: RunningApi) -> None:
    async with api.client() as client:
        with blockbuster_ctx(["lakehouse", "lakehouse_api"]):
            assert (await client.put("/v1/storage/files/a", content=b"x" * (3 << 20))).status_code == 200
            assert (await client.get("/v1/storage/files/a")).status_code == 200
            assert (await client.get("/v1/storage")).status_code == 200
            assert (await client.delete("/v1/storage/files/a")).status_code == 204
            assert (await client.get("/v1/catalog")).status_code == 200
            assert (await client.get("/v1/catalog/none")).status_code == 404
            assert (await client.get("/health")).status_code == 200
            assert (await client.get("/metrics")).status_code == 200
