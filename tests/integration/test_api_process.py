"""The API as a process: how it starts, refuses to start, meets a store that is away, and ends."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.service import Catalog
from tests.api import TOKEN, ApiProcess, api_environ, api_process, clean_environ
from tests.forked import ForkedProcess
from tests.servers import StoreServer, silent_server, store_server


@pytest.fixture(scope="module")
def api(store_process: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    store = store_process.objects(bucket="api-process")
    with api_process(store, tmp_path_factory.mktemp("api-process"), is_forked=False) as process:
        yield process


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"LAKEHOUSE_API_HOST": "0.0.0.0"}, "LAKEHOUSE_API_HOST is '0.0.0.0', which others can reach, and no token"),
        ({"LAKEHOUSE_API_PORT": "70000"}, "LAKEHOUSE_API_PORT: Input should be less than or equal to 65535"),
        ({"LAKEHOUSE_API_PROT": "1"}, "unknown setting LAKEHOUSE_API_PROT"),
        ({"LAKEHOUSE_S3_ENDPOINT": "ftp://x"}, "LAKEHOUSE_S3_ENDPOINT: must be an http:// or https:// URL with a host"),
        ({"LAKEHOUSE_TOKENS_FILE": "/nowhere/t.json"}, "LAKEHOUSE_TOKENS_FILE: /nowhere/t.json is not a file"),
    ],
)
def test_wrong_setting_stops_the_start_and_is_named(tmp_path: Path, environ: dict[str, str], message: str) -> None:
    given = {**clean_environ(), "LAKEHOUSE_DATA_DIR": str(tmp_path / "data"), **environ}
    log = tmp_path / "api.log"
    assert ForkedProcess("lakehouse_api.__main__", environ=given, folder=tmp_path, log=log).wait(60) == 2
    assert message in log.read_text()
    assert "Traceback" not in log.read_text()


def test_importing_the_api_loads_no_dagster_and_no_engine() -> None:
    heavy = "dagster", "pandas", "duckdb", "lance", "faiss", "onnxruntime", "polars", "typer"
    code = f"import sys, lakehouse_api.app; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_logs_are_json_with_the_request_id_and_no_secret(api: ApiProcess) -> None:
    with api.client() as client:
        refused = client.get("/v1/catalog", headers={"X-Request-Id": "log-me"}, params={"q": "hidden"})
        assert refused.status_code == 400
    deadline = time.monotonic() + 60
    while not (lines := [line for line in api.log.read_text().splitlines() if '"log-me"' in line]):
        assert time.monotonic() < deadline
    line = json.loads(lines[0])
    assert (line["path"], line["status"], line["actor"]) == ("/v1/catalog", 400, "primary")
    everything = api.log.read_text()
    assert TOKEN not in everything
    assert "hidden" not in everything
    for text in everything.splitlines():
        json.loads(text)


def test_path_on_the_wire_reaches_the_key_policy_as_it_is(api: ApiProcess) -> None:
    for raw in ("files/../catalog/x", "files/%2e%2e/x", "files//x", "files/a%5cb", "/files/x"):
        connection = api.connection()
        connection.putrequest("PUT", f"/v1/storage/{raw}")
        connection.putheader("Authorization", f"Bearer {TOKEN}")
        connection.putheader("Content-Length", "1")
        connection.endheaders(b"x")
        assert connection.getresponse().status == 400, raw
        connection.close()


def test_declared_length_over_the_cap_is_answered_before_the_body_is_sent(api: ApiProcess) -> None:
    connection = api.connection()
    connection.putrequest("PUT", "/v1/storage/files/huge")
    connection.putheader("Authorization", f"Bearer {TOKEN}")
    connection.putheader("Content-Length", str(1 << 40))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert answer.getheader("connection") == "close"
    answer.read()
    connection.close()


def test_large_object_goes_through_in_flat_memory(api: ApiProcess) -> None:
    import psutil

    assert api.process is not None
    process = psutil.Process(api.process.pid)

    def chunks() -> Iterator[bytes]:
        for _ in range(128):
            yield bytes(1 << 20)

    with api.client() as client:
        client.put("/v1/storage/files/warm", content=b"x").raise_for_status()
        idle_bytes = process.memory_info().rss
        assert client.put("/v1/storage/files/large", content=chunks()).json()["size"] == 128 << 20
        with client.stream("GET", "/v1/storage/files/large") as answer:
            assert sum(len(chunk) for chunk in answer.iter_bytes()) == 128 << 20
        assert process.memory_info().rss - idle_bytes < 64 << 20
        client.delete("/v1/storage/files/large").raise_for_status()


def test_store_that_never_answers_is_503_and_health_says_so(tmp_path: Path, objects: S3ObjectStore) -> None:
    with silent_server() as port:
        environ = api_environ(
            objects, tmp_path / "data",
            s3_endpoint=f"http://127.0.0.1:{port}", s3_read_timeout_s=0.3, s3_connect_timeout_s=0.3, s3_max_attempts=1,
        )  # fmt: skip
        process = ApiProcess(environ, tmp_path / "api.log", is_forked=True)
        process.start(is_ready=lambda answer: answer.status_code == 503)
        try:
            with process.client(timeout_s=60) as client:
                health = client.get("/health").json()
                assert (health["status"], health["parts"]["store"]["state"]) == ("unavailable", "unavailable")
                for method, path in (
                    ("GET", "/v1/storage"), ("GET", "/v1/storage/files/a"), ("PUT", "/v1/storage/files/a"),
                    ("DELETE", "/v1/storage/files/a"), ("GET", "/v1/catalog"), ("GET", "/v1/catalog/workers"),
                    ("DELETE", "/v1/catalog/workers"),
                ):  # fmt: skip
                    answer = client.request(method, path)
                    assert answer.status_code == 503, (method, path)
                    assert answer.headers["retry-after"] == "5"
                    assert "object store did not answer" in answer.json()["detail"]
                    assert str(port) not in answer.text
        finally:
            process.stop()


def test_store_that_comes_back_is_used_again(tmp_path: Path) -> None:
    with store_server(tmp_path / "store") as server:
        store = server.objects()
        with api_process(store, tmp_path / "api", s3_max_attempts=1) as api, api.client() as client:
            client.put("/v1/storage/files/a", content=b"x").raise_for_status()
            server.stop(how=signal.SIGKILL)
            assert client.get("/v1/storage/files/a").status_code == 503
            assert client.put("/v1/storage/files/b", content=b"y").status_code == 503
            _wait_for_health(client, 503)
            server.start()
            _wait_for_health(client, 200)
            assert client.get("/v1/storage/files/a").content == b"x"
            assert client.get("/v1/storage/files/b").status_code == 404
            client.put("/v1/storage/files/b", content=b"y").raise_for_status()


def _wait_for_health(client: httpx.Client, status: int) -> None:
    deadline = time.monotonic() + 60
    while client.get("/health").status_code != status:
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)


def _begin_put(api: ApiProcess, key: str, length: int, first: bytes) -> http.client.HTTPConnection:
    connection = api.connection()
    connection.putrequest("PUT", f"/v1/storage/{key}")
    connection.putheader("Authorization", f"Bearer {TOKEN}")
    connection.putheader("Content-Length", str(length))
    connection.endheaders(first)
    return connection


def _wait_for_upload(api: ApiProcess) -> None:
    _wait_for_metric(api, "lakehouse_storage_puts_in_flight 1.0")


def _wait_for_metric(api: ApiProcess, line: str) -> None:
    deadline = time.monotonic() + 60
    with api.client() as client:
        while line not in client.get("/metrics").text:
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)


def test_sigterm_finishes_what_was_accepted_and_takes_nothing_new(tmp_path: Path, objects: S3ObjectStore) -> None:
    with api_process(objects, tmp_path / "api", is_forked=False) as api:
        upload = _begin_put(api, "files/half", 10, b"12345")
        _wait_for_upload(api)
        assert api.process is not None
        api.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", api.port), timeout=1).close()
            except OSError:
                break
            assert time.monotonic() < deadline
        upload.send(b"67890")
        answer = upload.getresponse()
        assert (answer.status, json.loads(answer.read())["size"]) == (200, 10)
        upload.close()
        assert api.stop() == 0
    assert objects.get("files/half").body == b"1234567890"
    assert not list((tmp_path / "api" / "data" / "tmp").iterdir())


def test_sigterm_in_the_middle_of_an_ingest_finishes_it(tmp_path: Path, objects: S3ObjectStore) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="w.csv"\r\n\r\na,b\n1,x\n'
    tail = b"2,y\n\r\n--b--\r\n"
    with api_process(objects, tmp_path / "api") as api:
        connection = api.connection()
        connection.putrequest("POST", "/v1/ingest?name=workers")
        connection.putheader("Authorization", f"Bearer {TOKEN}")
        connection.putheader("Content-Type", "multipart/form-data; boundary=b")
        connection.putheader("Content-Length", str(len(head) + len(tail)))
        connection.endheaders(head)
        _wait_for_metric(api, "lakehouse_ingests_in_flight 1.0")
        assert api.process is not None
        api.process.send_signal(signal.SIGTERM)
        connection.send(tail)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["row_count"]) == (201, 2)
        connection.close()
        assert api.stop() == 0
    assert Catalog(objects).get("workers").row_count == 2


def test_kill_in_the_middle_of_an_upload_leaves_nothing_and_the_next_start_clears_up(
    tmp_path: Path, objects: S3ObjectStore
) -> None:
    objects.put("files/a", b"old")
    with api_process(objects, tmp_path / "api") as api:
        upload = _begin_put(api, "files/a", 4 << 20, bytes(3 << 20))
        _wait_for_upload(api)
        api.stop(how=signal.SIGKILL)
        upload.close()
        assert objects.get("files/a").body == b"old"
        assert list((tmp_path / "api" / "data" / "tmp").iterdir())
        api.start()
        folders = [f.name for f in (tmp_path / "api" / "data" / "tmp").iterdir()]
        assert api.process is not None
        assert folders == [f"api-{api.process.pid}"]
        with api.client() as client:
            client.put("/v1/storage/files/a", content=b"new").raise_for_status()
    assert objects.get("files/a").body == b"new"
