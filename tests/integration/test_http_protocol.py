"""What a connection may cost: headers without an end, clients that take nothing of their answer."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from tests.api import TOKEN, ApiProcess, api_process
from tests.servers import StoreServer

HEAD_BYTES = 64 << 10
STALL_S = 1.0
LARGE_BODY = 32 << 20
LARGE_STREAM = {"sql": "SELECT repeat('x', 1000) FROM range(10000000)", "format": "csv"}


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    store = store_process.objects(bucket="http-protocol")
    yield store
    store_process.drop_bucket("http-protocol")


@pytest.fixture(scope="module")
def api(store: S3ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    folder = tmp_path_factory.mktemp("http-protocol")
    with api_process(store, folder, sql_workers=2, client_stall_s=STALL_S) as process:
        yield process


def connect(api: ApiProcess, *, receive_bytes: int | None = None) -> socket.socket:
    connection = socket.socket()
    if receive_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.settimeout(60)
    connection.connect(("127.0.0.1", api.port))
    return connection


def head(line: str, *fields: str) -> bytes:
    given = (line, "Host: 127.0.0.1", f"Authorization: Bearer {TOKEN}", *fields)
    return "".join(f"{field}\r\n" for field in given).encode()


def answer_of(connection: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of what comes until the server closes."""
    received = bytearray()
    while chunk := connection.recv(1 << 16):
        received += chunk
    front, _, body = bytes(received).partition(b"\r\n\r\n")
    return front, body


def send_until_refused(connection: socket.socket, data: bytes, *, times: int) -> int:
    """How often it went out before the server had enough."""
    for number in range(times):
        try:
            connection.sendall(data)
        except ConnectionError:
            return number
    return times


def rss_bytes(api: ApiProcess) -> int:
    assert api.process is not None
    size: int = psutil.Process(api.process.pid).memory_info().rss
    return size


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def busy(api: ApiProcess) -> int:
    with api.client() as client:
        number: int = client.get("/health").json()["parts"]["sql"]["busy"]
    return number


@pytest.mark.parametrize("part_bytes", [1000, HEAD_BYTES + 1])
def test_head_one_byte_too_large_is_431(api: ApiProcess, part_bytes: int) -> None:
    begun = head("GET /health HTTP/1.1") + b"X-Fill: "
    sent = begun + b"a" * (HEAD_BYTES + 1 - len(begun))
    with connect(api) as connection:
        for start in range(0, len(sent), part_bytes):
            connection.sendall(sent[start : start + part_bytes])
        front, body = answer_of(connection)
    assert front.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b"content-type: application/problem+json" in front
    problem = json.loads(body)
    assert (problem["status"], problem["max_bytes"]) == (431, HEAD_BYTES)
    assert problem["request_id"].encode() in front


BODY = b'{"sql": "SELECT 1"}'
SQL = head("POST /v1/sql HTTP/1.1", "Content-Type: application/json")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", "TLS is not spoken here"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "only HTTP/1 is spoken here"),
        (b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n", "Content-Length"),
        (SQL + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY, "Content-Length"),
        (SQL + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY + b"\r\n0\r\n\r\n", "not HTTP/1"),
        (SQL + b"Content-Length: %d\r\n\r\n" % (len(BODY) - 2) + BODY, "Content-Length has to be that of its body"),
    ],
)
def test_what_is_not_http_is_told_as_a_problem(api: ApiProcess, sent: bytes, told: str) -> None:
    with connect(api) as connection:
        connection.sendall(sent)
        front, body = answer_of(connection)
    assert front.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"content-type: application/problem+json" in front
    problem = json.loads(body)
    assert problem["status"] == 400
    assert told in problem["detail"]


def test_largest_head_is_answered_and_the_next_request_too(api: ApiProcess) -> None:
    begun = head("GET /health HTTP/1.1") + b"X-Fill: "
    largest = begun + b"a" * (HEAD_BYTES - len(begun) - 4) + b"\r\n\r\n"
    assert len(largest) == HEAD_BYTES
    small = head("GET /health HTTP/1.1") + b"\r\n"
    last = head("GET /health HTTP/1.1", "Connection: close") + b"\r\n"
    with connect(api) as connection:
        connection.sendall(largest + small * 20 + largest + last)
        front, body = answer_of(connection)
    assert (front + body).count(b"HTTP/1.1 200 OK") == 23


def test_flood_of_headers_is_refused_before_memory_grows(api: ApiProcess) -> None:
    before = rss_bytes(api)
    with connect(api) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        assert send_until_refused(connection, b"X-Fill: " + b"a" * (1 << 20) + b"\r\n", times=100) < 100
    assert rss_bytes(api) - before < 16 << 20


def test_flood_of_trailers_breaks_the_connection(api: ApiProcess) -> None:
    before = rss_bytes(api)
    with connect(api) as connection:
        connection.sendall(
            head("PUT /v1/storage/files/t HTTP/1.1", "Transfer-Encoding: chunked") + b"\r\n1\r\nx\r\n0\r\n"
        )
        assert send_until_refused(connection, b"X-Fill: " + b"a" * (1 << 20), times=100) < 100
    assert rss_bytes(api) - before < 16 << 20


def test_body_in_tiny_chunks_is_taken(api: ApiProcess) -> None:
    fields = ("Transfer-Encoding: chunked", "Connection: close")
    with connect(api) as connection:
        connection.sendall(head("PUT /v1/storage/files/tiny HTTP/1.1", *fields) + b"\r\n")
        connection.sendall(b"1\r\nx\r\n" * 100_000 + b"0\r\nX-Trailer: a\r\n\r\n")
        front, body = answer_of(connection)
    assert front.startswith(b"HTTP/1.1 200 ")
    assert json.loads(body)["size"] == 100_000


def upload(path: str, length: int, *, token: str = TOKEN, method: str = "PUT") -> bytes:
    """The head of an upload."""
    line = f"{method} {path} HTTP/1.1"
    return head(line, f"Content-Length: {length}").replace(TOKEN.encode(), token.encode()) + b"\r\n"


@pytest.mark.parametrize(
    ("begun", "status"),
    [
        (upload("/v1/storage/files/a", LARGE_BODY, token="wrong" * 8), 401),
        (upload("/v1/storage/raw/a", LARGE_BODY), 403),
        (upload("/v1/sql", LARGE_BODY, method="POST"), 413),
        (upload("/v1/ingest", LARGE_BODY, method="POST"), 400),
    ],
)
def test_client_that_sends_its_body_to_the_end_reads_why_it_was_refused(
    api: ApiProcess, begun: bytes, status: int
) -> None:
    part = bytes(1 << 20)
    with connect(api) as connection:
        connection.sendall(begun)
        for _ in range(LARGE_BODY // len(part)):
            connection.sendall(part)
        front, body = answer_of(connection)
    assert front.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in front
    assert json.loads(body)["status"] == status


def test_refused_upload_takes_no_memory_and_is_let_go(api: ApiProcess) -> None:
    before = rss_bytes(api)
    with connect(api) as connection:
        connection.sendall(upload("/v1/storage/files/a", 1 << 40))
        # Half of a gibibyte is thrown away, then the connection breaks.
        assert send_until_refused(connection, bytes(1 << 20), times=2048) < 2048
    assert rss_bytes(api) - before < 32 << 20


def begin_stream(api: ApiProcess) -> socket.socket:
    connection = connect(api, receive_bytes=4096)
    body = json.dumps(LARGE_STREAM)
    fields = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    connection.sendall(head("POST /v1/sql HTTP/1.1", *fields) + b"\r\n" + body.encode())
    return connection


def wait_for_answer(connection: socket.socket) -> None:
    """Return when an answer has begun to come, and take nothing of it."""
    assert select.select([connection], [], [], 60)[0]


def test_clients_that_take_nothing_give_their_workers_back(api: ApiProcess) -> None:
    with begin_stream(api) as one, begin_stream(api) as other:
        for connection in (one, other):
            wait_for_answer(connection)  # and not until both are at work: the first may have been cut off by then
        wait_for(lambda: busy(api) == 0)
        with api.client() as client:
            assert client.post("/v1/sql", json={"sql": "SELECT 1"}).json()["rows"] == [[1]]
        for connection in (one, other):
            _, body = answer_of(connection)
            assert not body.endswith(b"0\r\n\r\n")  # what was cut off does not look whole


def test_client_that_takes_little_keeps_its_stream(api: ApiProcess) -> None:
    while not has_kept_its_stream(api):
        wait_for(lambda: busy(api) == 0)
    wait_for(lambda: busy(api) == 0)


def has_kept_its_stream(api: ApiProcess) -> bool:
    """Take a little, again and again; False where the machine let this client stall, which proves nothing."""
    pause = threading.Event()
    longest_s = 0.0
    with begin_stream(api) as connection:
        wait_for_answer(connection)
        begun = taken = time.monotonic()
        is_going_on = True
        while is_going_on and taken < begun + 4 * STALL_S:
            is_going_on = bool(connection.recv(1 << 12))
            longest_s, taken = max(longest_s, time.monotonic() - taken), time.monotonic()
            pause.wait(STALL_S / 20)
        is_going_on = is_going_on and busy(api) == 1
        longest_s = max(longest_s, time.monotonic() - taken)
    assert is_going_on or longest_s > STALL_S / 2
    return is_going_on


def test_object_that_nobody_takes_is_let_go(api: ApiProcess) -> None:
    with api.client() as client:
        client.put("/v1/storage/files/large", content=bytes(64 << 20)).raise_for_status()
    with connect(api, receive_bytes=4096) as connection:
        connection.sendall(head("GET /v1/storage/files/large HTTP/1.1") + b"\r\n")
        wait_for_answer(connection)
        wait_for(lambda: in_flight(api) == 1)
        assert len(b"".join(answer_of(connection))) < 64 << 20


def in_flight(api: ApiProcess) -> int:
    """Requests being answered, the one that asks among them."""
    with api.client() as client:
        text = client.get("/metrics").text
    return int(float(text.partition("\nlakehouse_http_in_flight ")[2].split()[0]))
