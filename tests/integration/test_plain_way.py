"""Plain requests of hot routes over sockets: whichever way a request comes, its answer and its lines are the same."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from fastapi import FastAPI

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse_api.app import create_app
from lakehouse_api.http_protocol import bounded_protocol
from tests.api import TOKEN, api_settings, serving
from tests.fakes.services import services_with_fakes
from tests.servers import StoreServer

VALIDATE = "/v1/validate"
GOOD = {"kind": "sms", "artifact": {"to": "+14155550132", "body": "Shift on Monday. Reply YES."}, "context": {}}
LONG = {**GOOD, "artifact": {"to": "+14155550132", "body": "x" * 161}}
BODY = json.dumps(GOOD).encode()
CHANGING = ("run_id", "elapsed_ms", "latency_ms", "at", "bytes_out")


@dataclass
class Served:
    """A served API, what it has logged, how many requests its application has seen."""

    app: FastAPI
    port: int
    seen: list[str]

    @property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        return self.app.state.services.events.lines  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def api(store_process: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    logging.getLogger("lakehouse.access").setLevel(logging.INFO)
    store: S3ObjectStore = store_process.objects(bucket="plain")
    folder = tmp_path_factory.mktemp("plain")
    app = create_app(api_settings(store, folder), compose=services_with_fakes)
    seen: list[str] = []

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            seen.append(scope["path"])
        await app(scope, receive, send)

    http = bounded_protocol(5, app.state.plain_way)
    with serving(counted, http=http, timeout_keep_alive=1, server_header=False) as url:  # type: ignore[arg-type]
        yield Served(app, int(url.rpartition(":")[2]), seen)
    store_process.drop_bucket("plain")


def request(body: bytes, *fields: str, path: str = VALIDATE, version: str = "1.1", token: str = TOKEN) -> bytes:
    given = ("Host: 127.0.0.1", f"Authorization: Bearer {token}", "X-Request-Id: one", "X-Task-Id: task", *fields)
    return (
        f"POST {path} HTTP/{version}\r\n".encode()
        + "".join(f"{field}\r\n" for field in given).encode()
        + b"\r\n"
        + body
    )


def sized(body: bytes, *fields: str, **more: Any) -> bytes:
    return request(body, f"Content-Length: {len(body)}", *fields, **more)


def connect(api: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", api.port), timeout=20)


def read_answer(stream: Any) -> tuple[int, dict[str, str], bytes]:
    status = int(stream.readline().split()[1])
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.decode().partition(": ")
        headers[name] = value
    return status, headers, stream.read(int(headers.get("content-length", 0)))


def ask(api: Served, *parts: bytes) -> tuple[int, dict[str, str], bytes]:
    with closing(connect(api)) as connection:
        for number, part in enumerate(parts):
            if number:
                time.sleep(0.02)  # the parts must not come together
            connection.sendall(part)
        with connection.makefile("rb") as stream:
            return read_answer(stream)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def has_more_events(api: Served, number: int) -> bool:
    return len(api.events) >= number


def without_changes(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in CHANGING}


@pytest.mark.parametrize(
    ("status", "is_plain", "body", "fields", "more"),
    [
        (200, True, BODY, (), {}),
        (422, True, json.dumps(LONG).encode(), (), {}),
        (422, True, json.dumps(LONG).encode(), ("Accept: application/vnd.lakehouse.flat+json",), {}),
        (400, True, b"{", (), {}),
        (404, True, json.dumps({"query": "a", "corpora": ["none"]}).encode(), (), {"path": "/v1/matrix/search"}),
        (401, False, BODY, (), {"token": "wrong"}),
        (403, False, BODY, ("Origin: http://elsewhere.example",), {}),
        (200, False, BODY, ("Expect: 100-continue",), {"path": VALIDATE + "?a=b"}),
    ],
)
def test_all_ways_answer_and_log_alike(
    api: Served,
    capfd: pytest.CaptureFixture[str],
    status: int,
    is_plain: bool,
    body: bytes,
    fields: tuple[str, ...],
    more: dict[str, str],
) -> None:
    whole = sized(body, *fields, **more)
    chunked = request(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body), "Transfer-Encoding: chunked", *fields, **more)
    found = []
    for number, parts in enumerate([(whole,), (whole[:-1], whole[-1:]), (chunked,)]):
        begun, calls = len(api.events), len(api.seen)
        answered, headers, document = ask(api, *parts)
        if "100-continue" in "".join(fields):
            assert answered == 100
            answered = 200
            headers, document = {}, b"{}"
        wait_for(partial(has_more_events, api, begun + 1))
        wait_for(lambda: api.app.state.services.metrics.in_flight == 0)
        assert len(api.seen) - calls == (0 if is_plain and number == 0 else 1)
        lines = [(stream, without_changes(line)) for stream, line in api.events[begun:]]
        kept = {name: value for name, value in headers.items() if name not in ("date", "content-length", "connection")}
        found.append((answered, kept, without_changes(json.loads(document)), lines))
    assert found[0] == found[1] == found[2]
    assert found[0][0] == status


def test_access_lines_and_counts_of_all_ways_are_alike(api: Served, capsys: pytest.CaptureFixture[str]) -> None:
    series = 'lakehouse_http_request_seconds_count{method="POST",route="/v1/validate",status="422"}'
    services = api.app.state.services

    def counted() -> float:
        found = [line for line in services.metrics.render().decode().splitlines() if line.startswith(series)]
        return float(found[0].split()[-1]) if found else 0.0

    body = json.dumps(LONG).encode()
    whole = sized(body)
    before = counted()
    ask(api, whole)
    ask(api, whole[:-1], whole[-1:])
    wait_for(lambda: counted() == before + 2)
    logged: list[dict[str, Any]] = []

    def look() -> bool:
        found = (json.loads(line) for line in capsys.readouterr().out.splitlines() if '"event":"request"' in line)
        logged.extend(line for line in found if line["status"] == 422)
        return len(logged) >= 2

    wait_for(look)
    plain, layered = logged[-2:]
    assert plain["bytes_out"] > 0
    assert plain["bytes_in"] == len(body)
    assert without_changes(plain) == without_changes(layered)


def test_pipelined_requests_are_answered_in_their_order(api: Served) -> None:
    bodies = [json.dumps(LONG).encode() if number % 3 == 1 else BODY for number in range(12)]
    sent = b"".join(sized(body) for body in bodies)
    other = f"GET /v1/catalog/none HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    with closing(connect(api)) as connection, connection.makefile("rb") as stream:
        connection.sendall(sent + other + sized(BODY))
        found = [read_answer(stream)[0] for _ in range(14)]
        connection.sendall(sized(BODY))  # plain again
        assert read_answer(stream)[0] == 200
    assert found == [422 if number % 3 == 1 else 200 for number in range(12)] + [404, 200]


def test_requests_that_end_the_connection_do(api: Served) -> None:
    for sent in (sized(BODY, "Connection: close"), sized(BODY, version="1.0")):
        with closing(connect(api)) as connection, connection.makefile("rb") as stream:
            connection.sendall(sent)
            status, headers, _ = read_answer(stream)
            assert (status, headers["connection"]) == (200, "close")
            assert stream.read() == b""


def test_another_token_on_the_same_connection_is_looked_at(api: Served) -> None:
    with closing(connect(api)) as connection, connection.makefile("rb") as stream:
        for token, status in ((TOKEN, 200), (TOKEN, 200), ("wrong", 401)):
            connection.sendall(sized(BODY, token=token))
            assert read_answer(stream)[0] == status


def test_silent_connection_ends_and_one_that_asks_does_not(api: Served) -> None:
    with closing(connect(api)) as connection, connection.makefile("rb") as stream:
        for _ in range(3):
            connection.sendall(sized(BODY))
            assert read_answer(stream)[0] == 200
            time.sleep(0.5)
        connection.sendall(sized(BODY))
        assert read_answer(stream)[0] == 200
        begun = time.monotonic()
        assert stream.read() == b""
        assert 0.5 < time.monotonic() - begun < 5


def test_client_that_leaves_is_forgotten(api: Served) -> None:
    for _ in range(5):
        with closing(connect(api)) as connection:
            connection.sendall(sized(BODY))
    wait_for(lambda: api.app.state.services.metrics.in_flight == 0)
    assert ask(api, sized(BODY))[0] == 200
