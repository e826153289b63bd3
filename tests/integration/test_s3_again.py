"""What is asked of a store again: writes whose answer was lost, buckets that are in another region."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lakehouse.adapters.objects import S3Location, S3ObjectStore
from lakehouse.adapters.s3_direct import DirectObjects
from lakehouse.errors import PreconditionFailed, StoreUnavailable

DATES = {"Last-Modified": "Tue, 24 Nov 2026 15:47:28 GMT"}
Make = Callable[[S3Location], S3ObjectStore]


@dataclass
class Store:
    """Objects of one bucket with conditional writes, behind a socket.

    `lose` is called with each request before it is answered: "write" does what was asked and closes the connection
    without a word, "all" closes it at once. `region` is what it names when it is asked in another one than `wanted`.
    """

    location: S3Location
    lose: Callable[[str], str] = lambda _: ""
    region: str = "us-east-1"
    wanted: str = ""
    says: str = "body"
    objects: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    signed_for: list[str] = field(default_factory=list)

    def answer(self, handler: BaseHTTPRequestHandler) -> tuple[int, bytes, dict[str, str]]:
        key, headers = handler.path, handler.headers
        body = handler.rfile.read(int(headers["Content-Length"] or 0))
        region = headers["Authorization"].split("/")[2]
        self.signed_for.append(region)
        if region != (self.wanted or self.region):
            return self._elsewhere()
        there = self.objects.get(key)
        if handler.command == "PUT":
            is_refused = (headers["If-None-Match"] and there) or (
                headers["If-Match"] and (there is None or headers["If-Match"] != etag_of(there[0]))
            )
            if is_refused:
                return 412, b"<Error><Code>PreconditionFailed</Code></Error>", {}
            self.objects[key] = body, headers["x-amz-meta-lakehouse-write"] or ""
            return 200, b"", {"ETag": etag_of(body)}
        if there is None:
            return 404, b"<Error><Code>NoSuchKey</Code></Error>", {}
        return 200, there[0], {"ETag": etag_of(there[0]), "x-amz-meta-lakehouse-write": there[1], **DATES}

    def _elsewhere(self) -> tuple[int, bytes, dict[str, str]]:
        if self.says == "header":
            return 301, b"<Error><Code>PermanentRedirect</Code></Error>", {"x-amz-bucket-region": self.region}
        if self.says == "nothing":
            body = b"<Error><Code>PermanentRedirect</Code><Endpoint>http://secret:9000</Endpoint></Error>"
            return 301, body, {"Location": "http://secret:9000"}
        region = f"<Region>{self.region}</Region>"
        return 400, f"<Error><Code>AuthorizationHeaderMalformed</Code>{region}</Error>".encode(), {}


def etag_of(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


@contextmanager
def serving() -> Iterator[Store]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            what = f"{self.command} {self.path}"
            store.asked.append(what)
            lost = store.lose(what)
            if lost:
                self.close_connection = True
            if lost == "all":
                return
            status, body, headers = store.answer(self)
            if lost == "write":
                return
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = answer  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    store = Store(S3Location(f"http://127.0.0.1:{server.server_port}", "b", "us-east-1", "k", "s", 60.0, 60.0))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def once(lost: str, then: Callable[[], None] = lambda: None) -> Callable[[str], str]:
    """Lose the first write that has a condition."""
    left = [lost]

    def lose(what: str) -> str:
        if not what.startswith("PUT") or not left:
            return ""
        then()
        return left.pop()

    return lose


@pytest.fixture(params=[DirectObjects, S3ObjectStore])
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("as_file", [True, False])
def test_conditional_write_that_meets_itself_has_won(make: Make, is_new: bool, as_file: bool, tmp_path: Path) -> None:
    body: Any = b"two"
    if as_file:
        body = tmp_path / "two"
        body.write_bytes(b"two")
    with serving() as server:
        store = make(server.location)
        condition: dict[str, Any] = {"if_absent": True} if is_new else {"if_match": store.put("k", b"one").etag}
        server.asked.clear()
        server.lose = once("write")
        written = store.put("k", body, **condition)
        assert (written.size, f'"{written.etag}"') == (3, etag_of(b"two"))
        assert server.asked == ["PUT /b/k", "PUT /b/k", "HEAD /b/k"]
        with pytest.raises(PreconditionFailed):
            store.put("k", b"three", **condition)
        assert server.asked[3:] == ["PUT /b/k"]  # nothing was lost: what the store says is so


def test_conditional_write_that_meets_anothers_has_lost_though_the_bytes_are_the_same(make: Make) -> None:
    with serving() as server:

        def other() -> None:
            server.objects["/b/k"] = b"taken", "another's"

        server.lose = once("all", other)
        with pytest.raises(PreconditionFailed):
            make(server.location).put("k", b"taken", if_absent=True)
        assert server.asked == ["PUT /b/k", "PUT /b/k", "HEAD /b/k"]


def test_conditional_write_that_was_deleted_since_has_lost(make: Make) -> None:
    with serving() as server:
        store = make(server.location)
        server.objects["/b/k"] = b"another", ""

        def lose(what: str) -> str:
            if what.startswith("HEAD"):
                server.objects.clear()
            return "all" if server.asked.count("PUT /b/k") == 1 else ""

        server.lose = lose
        with pytest.raises(PreconditionFailed):
            store.put("k", b"x", if_absent=True)


def test_write_on_an_idle_connection_that_meets_itself_has_won() -> None:
    with serving() as server:
        store = DirectObjects(replace(server.location, max_attempts=1))
        store.put("other", b"x")
        server.lose = once("write")
        assert store.put("k", b"two", if_absent=True).size == 3
        assert server.asked == ["PUT /b/other", "PUT /b/k", "PUT /b/k", "HEAD /b/k"]


@pytest.mark.parametrize("says", ["body", "header"])
def test_bucket_of_another_region_is_asked_in_its_region_from_then_on(make: Make, says: str) -> None:
    with serving() as server:
        server.region, server.says = "eu-west-1", says
        store = make(replace(server.location, max_attempts=1))
        store.put("k", b"x", if_absent=True)
        assert server.signed_for == ["us-east-1", "eu-west-1"]
        assert store.get("k").body == b"x"
        assert server.signed_for[2:] == ["eu-west-1"]


def test_bucket_that_is_elsewhere_names_the_settings_and_no_address() -> None:
    with serving() as server:
        server.region, server.says = "eu-west-1", "nothing"
        with pytest.raises(StoreUnavailable, match="set LAKEHOUSE_S3_ENDPOINT and LAKEHOUSE_S3_REGION") as caught:
            DirectObjects(server.location).get("k")
        assert "secret" not in caught.value.detail


@pytest.mark.parametrize("region", ["", "us-east-1", "a\r\nx: y"])
def test_region_that_is_none_or_the_same_is_not_tried(region: str) -> None:
    with serving() as server:
        server.region, server.wanted = region, "nobody's"
        with pytest.raises(StoreUnavailable, match="AuthorizationHeaderMalformed"):
            DirectObjects(server.location).get("k")
        assert server.signed_for == ["us-east-1"]
