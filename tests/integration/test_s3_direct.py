"""Direct calls to S3: what is repeated, what is refused, deadlines, connections that were closed while idle."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lakehouse.adapters.objects import S3Location, S3ObjectStore
from lakehouse.adapters.s3_direct import DirectObjects, open_objects
from lakehouse.errors import NotFound, PreconditionFailed, StoreUnavailable
from tests.servers import silent_server

OK = (200, b"", {"ETag": '"e"', "Last-Modified": "Tue, 24 Nov 2026 15:47:28 GMT"})

# What some proxies say of a connection on which nothing is asked any more.
TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def error(status: int, code: str) -> tuple[int, bytes, dict[str, str]]:
    return status, f"<Error><Code>{code}</Code><Message>http://secret:9000</Message></Error>".encode(), {}


@contextmanager
def scripted(*answers: tuple[int, bytes, dict[str, str]] | str) -> Iterator[tuple[S3Location, list[str]]]:
    """A server that gives these answers in turn; yields what was asked.

    "close" closes the connection without an answer, "close later" soon after one, with a word that nobody asked for.
    """
    asked: list[str] = []
    left = list(answers)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with lock:
                asked.append(f"{self.command} {self.path}")
                told = left.pop(0) if left else OK
            if isinstance(told, str):
                self.close_connection = True
            if told == "close":
                return
            status, body, headers = OK if isinstance(told, str) else told
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            if told == "close later":
                time.sleep(0.05)
                self.wfile.write(TOO_LATE)

        do_GET = do_PUT = answer  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield S3Location(f"http://127.0.0.1:{server.server_port}", "b", "us-east-1", "k", "s", 60.0, 60.0), asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    "failure",
    [
        error(500, "InternalError"), error(503, "SlowDown"), error(429, "Slow"), error(400, "RequestTimeout"),
        (408, b"", {}), "close",
    ],
)  # fmt: skip
def test_what_may_pass_is_tried_again(failure: tuple[int, bytes, dict[str, str]] | str) -> None:
    with scripted(failure, OK) as (location, asked):
        assert DirectObjects(location).put("a b", b"x").etag == "e"
        assert asked == ["PUT /b/a%20b"] * 2


def test_failure_that_stays_is_told_without_the_address() -> None:
    with scripted(*[error(500, "InternalError")] * 3) as (location, asked):
        with pytest.raises(StoreUnavailable, match="refused 'k': InternalError; see whether its disk") as caught:
            DirectObjects(location).get("k")
        assert "secret" not in caught.value.detail
        assert len(asked) == 3


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (error(404, "NoSuchKey"), NotFound), (error(412, "PreconditionFailed"), PreconditionFailed),
        (error(403, "AccessDenied"), StoreUnavailable), ((400, b"no document", {}), StoreUnavailable),
    ],
)  # fmt: skip
def test_refusal_is_not_tried_again(answer: tuple[int, bytes, dict[str, str]], expected: type[Exception]) -> None:
    with scripted(answer) as (location, asked):
        with pytest.raises(expected):
            DirectObjects(location).put("k", b"x", if_absent=True)
        assert len(asked) == 1


def test_connection_that_was_closed_while_idle_is_replaced_without_counting_as_a_try() -> None:
    with scripted(OK, "close", OK) as (location, asked):
        store = DirectObjects(S3Location(location.endpoint, "b", "us-east-1", "k", "s", 60.0, 60.0, max_attempts=1))
        store.put("k", b"x")
        store.put("k", b"x")
        assert len(asked) == 3


def test_word_on_an_idle_connection_is_not_taken_for_an_answer() -> None:
    with scripted("close later", OK) as (location, asked):
        store = DirectObjects(location)
        store.put("k", b"x")
        (kept,) = store._idle
        deadline = time.monotonic() + 30
        while kept.is_silent() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert store.put("k", b"x").etag == "e"
        assert len(asked) == 2


def test_large_body_is_not_copied() -> None:
    class Alone(bytes):
        def __radd__(self, _: object) -> bytes:
            raise AssertionError("a body was joined to its head")

    with scripted(OK) as (location, _):
        assert DirectObjects(location).put("k", Alone(1 << 20)).size == 1 << 20


@pytest.mark.parametrize("namespace", ["", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"', ' xmlns="urn:other"'])
def test_listing_is_read_under_any_namespace(namespace: str) -> None:
    entry = "<Key>a/b</Key><Size>3</Size><ETag>e</ETag><LastModified>2026-11-24T15:47:28Z</LastModified>"
    page = f"<ListBucketResult{namespace}><Contents>{entry}</Contents></ListBucketResult>".encode()
    with scripted((200, page, {})) as (location, _):
        assert [found.key for found in DirectObjects(location).list("a/").objects] == ["a/b"]


def test_store_that_never_answers_is_given_up_at_its_deadline() -> None:
    with silent_server() as port:
        location = S3Location(f"http://127.0.0.1:{port}", "b", "us-east-1", "k", "s", 0.2, 0.2, max_attempts=2)
        with pytest.raises(StoreUnavailable, match="did not answer for 'k'"):
            DirectObjects(location).get("k")


def test_listing_that_is_none_is_a_failure_of_the_store() -> None:
    with scripted((200, b"<html>", {})) as (location, _), pytest.raises(StoreUnavailable, match="what is none"):
        DirectObjects(location).list("a/")


def test_listing_that_cannot_go_on_is_a_failure_of_the_store() -> None:
    page = b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"
    with scripted(*[(200, page, {})] * 3) as (location, _), pytest.raises(StoreUnavailable, match="does not go on"):
        DirectObjects(location).list("a/")


def test_many_threads_share_one_store(objects: S3ObjectStore) -> None:
    store = DirectObjects(objects.location)

    def work(number: int) -> bytes:
        store.put(f"t/{number}", str(number).encode(), if_absent=True)
        return store.get(f"t/{number}").body

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(100))) == [str(number).encode() for number in range(100)]


@pytest.mark.parametrize(
    ("endpoint", "is_direct"),
    [("http://127.0.0.1:8333", True), ("https://s3.example.org", False), (None, False), ("http://h/path", False)],
)
def test_only_plain_endpoints_are_asked_directly(endpoint: str | None, is_direct: bool) -> None:
    store = open_objects(S3Location(endpoint, "b", "us-east-1", "k", "s"))
    assert isinstance(store, DirectObjects) == is_direct


def test_endpoint_behind_a_proxy_is_left_to_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert not isinstance(open_objects(S3Location("http://store:8333", "b", "r", "k", "s")), DirectObjects)
    assert isinstance(open_objects(S3Location("http://127.0.0.1:8333", "b", "r", "k", "s")), DirectObjects)


def test_wrong_keys_are_refused(objects: S3ObjectStore) -> None:
    at = objects.location
    with pytest.raises(StoreUnavailable, match="InvalidAccessKeyId"):
        DirectObjects(S3Location(at.endpoint, at.bucket, at.region, "wrong", "wrong")).get("k")
