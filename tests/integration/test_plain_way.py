"""Plain requests of hot routes over sockets: whichever way a request comes, its answer and its lines are the same."""

from __future__ import annotations

import json
import logging
import select
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
from lakehouse_api.http_protocol import BoundedProtocol, bounded_protocol
from tests.api import TOKEN, api_settings, serving
from tests.fakes.services import services_with_fakes
from tests.servers import StoreServer

VALIDATE = "/v1/validate"
LAYERED = VALIDATE + "?"  # the same route, asked in a way that is not plain
GOOD = {"kind": "sms", "artifact": {"to": "+14155550132", "body": "Shift on Monday. Reply YES."}, "context": {}}
LONG = {**GOOD, "artifact": {"to": "+14155550132", "body": "x" * 161}}
BODY = json.dumps(GOOD).encode()
CHANGING = ("run_id", "elapsed_ms", "latency_ms", "at", "bytes_out")


@dataclass
class Served:
    """A served API, what it has logged, how many requests its application has seen, how many bytes came."""

    app: FastAPI
    port: int
    seen: list[str]
    came: list[int]
    http: type[BoundedProtocol]

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

    came = [0]

    class Counted(bounded_protocol(60, app.state.short_way)):  # type: ignore[misc]
        rest_s = kept_s = 60  # tests may be slow

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.timeout_keep_alive = self.kept_s

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            came[0] += len(data)

    with serving(counted, http=Counted, server_header=False) as url:  # type: ignore[arg-type]
        yield Served(app, int(url.rpartition(":")[2]), seen, came, Counted)
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
    return socket.create_connection(("127.0.0.1", api.port), timeout=60)


def read_answer(stream: Any) -> tuple[int, dict[str, str], bytes]:
    status = int(stream.readline().split()[1])
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.decode().partition(": ")
        headers[name] = value
    return status, headers, stream.read(int(headers.get("content-length", 0)))


def send_apart(api: Served, connection: socket.socket, *parts: bytes) -> None:
    """Send parts that do not come together; a server that has closed the connection takes no more of them."""

    def has_come(expected: int) -> bool:
        return api.came[0] >= expected or is_refused(connection)

    for part in parts:
        if is_refused(connection):
            return
        expected = api.came[0] + len(part)
        connection.sendall(part)
        wait_for(partial(has_come, expected))


def is_refused(connection: socket.socket) -> bool:
    has_answer = bool(select.select([connection], [], [], 0)[0])
    return has_answer and connection.recv(12, socket.MSG_PEEK) in (b"HTTP/1.1 401", b"HTTP/1.1 403")


def ask(api: Served, *parts: bytes) -> tuple[int, dict[str, str], bytes]:
    with closing(connect(api)) as connection:
        send_apart(api, connection, *parts)
        with connection.makefile("rb") as stream:
            return read_answer(stream)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.0005)


def has_more_events(api: Served, number: int) -> bool:
    return len(api.events) >= number


def has_logged(capsys: pytest.CaptureFixture[str], logged: list[dict[str, Any]], number: int) -> bool:
    """Take what the access log has written since into `logged`."""
    lines = capsys.readouterr().out.splitlines()
    logged += [json.loads(line) for line in lines if '"event":"request"' in line]
    return len(logged) >= number


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
        (200, False, BODY, ("Expect: 100-continue",), {"path": VALIDATE + "?"}),
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
    token = {name: value for name, value in more.items() if name == "token"}
    whole = sized(body, *fields, **more)
    chunked = request(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body), "Transfer-Encoding: chunked", *fields, **more)
    found = []
    quick = sized(body, *fields, path=more.get("path", VALIDATE).removesuffix("?") + "?", **token)
    plainly = [(whole,), (whole[: -len(body)], whole[-len(body) :]), (whole[:20], whole[20:-1], whole[-1:])]
    for number, parts in enumerate([*plainly, (quick,), (quick[:-1], quick[-1:]), (chunked,)]):
        begun, calls = len(api.events), len(api.seen)
        answered, headers, document = ask(api, *parts)
        if "100-continue" in "".join(fields):
            assert answered == 100
            answered = 200
            headers, document = {}, b"{}"
        wait_for(partial(has_more_events, api, begun + 1))
        wait_for(lambda: api.app.state.services.metrics.in_flight == 0)
        assert len(api.seen) - calls == (0 if is_plain and number < len(plainly) else 1)
        lines = [(stream, without_changes(line)) for stream, line in api.events[begun:]]
        kept = {name: value for name, value in headers.items() if name not in ("date", "content-length", "connection")}
        found.append((answered, kept, without_changes(json.loads(document)), lines))
    assert all(other == found[0] for other in found)
    assert found[0][0] == status


def in_pieces(whole: bytes, length: int) -> list[bytes]:
    return [whole[start : start + length] for start in range(0, len(whole), length)]


@pytest.mark.parametrize("length", [1, 2, 17, 100])
def test_request_in_pieces_is_answered_as_the_layers_do(api: Served, length: int) -> None:
    body = json.dumps(LONG).encode()
    calls = len(api.seen)
    found = []
    for whole in (sized(body), sized(body, path=LAYERED)):
        status, headers, document = ask(api, *in_pieces(whole, length))
        assert "date" in headers
        found.append((status, sorted(headers), without_changes(json.loads(document))))
    assert found[0] == found[1]
    assert len(api.seen) - calls == 1
    assert api.seen[-1] == VALIDATE


def test_body_beyond_64_kib_in_pieces_is_answered_as_the_layers_do(api: Served) -> None:
    body = BODY + b" " * 200_000
    found = []
    for path in (VALIDATE, LAYERED):
        calls = len(api.seen)
        status, headers, document = ask(api, *in_pieces(sized(body, path=path), 60_000))
        assert len(api.seen) - calls == 1
        found.append((status, sorted(headers), without_changes(json.loads(document))))
    assert found[0] == found[1]
    assert found[0][0] == 200


def test_pieces_behind_whole_requests_are_answered_in_their_order(api: Served) -> None:
    long = sized(json.dumps(LONG).encode())
    with closing(connect(api)) as connection, connection.makefile("rb") as stream:
        send_apart(api, connection, sized(BODY) + long[:-30], long[-30:-5], long[-5:] + sized(BODY) + long[:40])
        assert [read_answer(stream)[0] for _ in range(3)] == [200, 422, 200]
        calls = len(api.seen)
        send_apart(api, connection, long[40:-7], long[-7:-3])
        send_apart(api, connection, long[-3:])
        assert read_answer(stream)[0] == 422
        assert len(api.seen) == calls


def test_body_that_stops_coming_is_408_as_with_the_layers(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.http, "rest_s", 0.01)
    monkeypatch.setattr("lakehouse_api.quick_way.IDLE_TIMEOUT_S", 0.05)
    found = []
    for path in (VALIDATE, LAYERED):
        begun = len(api.events)
        status, headers, document = ask(api, sized(BODY, path=path)[:-3])
        wait_for(partial(has_more_events, api, begun + 1))
        assert headers["connection"] == "close"
        lines = [(stream, without_changes(line)) for stream, line in api.events[begun:]]
        found.append((status, sorted(headers), without_changes(json.loads(document)), lines))
    assert found[0] == found[1]
    assert found[0][0] == 408


def test_client_that_leaves_in_the_middle_is_logged_as_by_the_layers(
    api: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    logged: list[dict[str, Any]] = []
    for number, path in enumerate((VALIDATE, LAYERED)):
        begun = len(api.events)
        with closing(connect(api)) as connection:
            send_apart(api, connection, sized(BODY, path=path)[:-3])
        wait_for(partial(has_more_events, api, begun + 1))
        wait_for(partial(has_logged, capsys, logged, number + 1))
        lines = [(stream, without_changes(line)) for stream, line in api.events[begun:]]
        found.append((lines, {**without_changes(logged[-1]), "bytes_out": 0}))
    assert found[0] == found[1]
    assert found[0][1]["bytes_in"] == len(BODY) - 3
    assert api.app.state.services.metrics.in_flight == 0


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
    ask(api, sized(body, path=LAYERED))
    wait_for(lambda: counted() == before + 3)
    logged: list[dict[str, Any]] = []

    wait_for(lambda: has_logged(capsys, logged, 3))
    plain, later, layered = logged[-3:]
    assert without_changes(later) == without_changes(plain)
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


def test_silent_connection_ends_and_one_that_asks_does_not(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.http, "kept_s", 1)
    while not has_stayed_while_it_asked(api):
        pass


def has_stayed_while_it_asked(api: Served) -> bool:
    """Ask with pauses, then no more; False where the machine made a pause too long, which proves nothing."""
    longest_s = 0.0
    with closing(connect(api)) as connection, connection.makefile("rb") as stream:
        for _ in range(4):
            begun = time.monotonic()
            try:
                connection.sendall(sized(BODY))
                status = read_answer(stream)[0]
            except (OSError, IndexError):  # it was closed
                assert longest_s > 0.9
                return False
            assert status == 200
            answered = time.monotonic()
            time.sleep(0.5)
            longest_s = max(longest_s, time.monotonic() - answered)
        assert stream.read() == b""
        assert time.monotonic() - begun > 0.5
    return True


def test_client_that_leaves_is_forgotten(api: Served) -> None:
    for _ in range(5):
        with closing(connect(api)) as connection:
            connection.sendall(sized(BODY))
    wait_for(lambda: api.app.state.services.metrics.in_flight == 0)
    assert ask(api, sized(BODY))[0] == 200
