"""A connection to a plain store: which bytes are an answer, and when the connection can be used again."""

from __future__ import annotations

import socket
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import BadStatusLine, HTTPException, IncompleteRead, LineTooLong, RemoteDisconnected

import pytest

from lakehouse.adapters.s3_wire import Wire, _address

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: "e"\r\n\r\nok'


@contextmanager
def answering(*answers: tuple[bytes, ...], then_closes: bool = True) -> Iterator[tuple[Wire, list[bytes]]]:
    """A connection to a server that sends these answers in turn, each in pieces, after a request's head."""
    asked: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for pieces in answers:
                got = b""
                while b"\r\n\r\n" not in got and (more := connection.recv(1 << 16)):
                    got += more
                asked.append(got)
                for piece in pieces:
                    connection.sendall(piece)
            if not then_closes:
                done.wait(120)

    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        wire = Wire(f"127.0.0.1:{listener.getsockname()[1]}", connect_timeout_s=60, read_timeout_s=60)
        try:
            yield wire, asked
        finally:
            wire.close()
            done.set()
            thread.join()


def test_request_goes_out_whole_and_connection_serves_the_next() -> None:
    with answering((OK,), (OK[:20], OK[20:50], OK[50:])) as (wire, asked):
        for body in (b"", b"x\r\n"):
            answer = wire.ask("PUT", "/b/k?a=1", {"host": "h", "x-one": "1"}, body)
            assert (answer.status, answer.headers["etag"], answer.body) == (200, '"e"', b"ok")
            assert wire.can_be_kept
        head = b"PUT /b/k?a=1 HTTP/1.1\r\naccept-encoding: identity\r\nhost: h\r\nx-one: 1\r\n\r\n"
        assert asked == [head, head + b"x\r\n"]


@pytest.mark.parametrize(
    ("sent", "body", "is_kept"),
    [
        (CHUNKED + b"3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", b"abc0123456789", True),
        (CHUNKED + b"1\r\na\r\n0\r\nTrailer: 1\r\n\r\n", b"a", True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 1\r\n\r\nx", b"x", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x", False),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil it closes", b"until it closes", False),
        (OK + b"more than was told", b"ok", False),
    ],
)  # fmt: skip
def test_answer_in_any_form_is_read_whole(sent: bytes, body: bytes, is_kept: bool) -> None:
    with answering((sent,)) as (wire, _):
        assert wire.ask("GET", "/", {}, b"").body == body
        assert wire.can_be_kept == is_kept


def test_answer_that_comes_byte_by_byte_is_read_whole() -> None:
    sent = CHUNKED + b"3\r\nabc\r\n0\r\n\r\n"
    with answering(tuple(bytes([one]) for one in sent), then_closes=False) as (wire, _):
        assert wire.ask("GET", "/", {}, b"").body == b"abc"


def test_large_answer_is_read_whole() -> None:
    body = bytes(range(256)) * 4096
    with answering((b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)) as (wire, _):
        assert wire.ask("GET", "/", {}, b"").body == body


def test_large_answer_is_there_once() -> None:
    body = bytes(4 << 20)
    with answering((b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)) as (wire, _):
        tracemalloc.start()
        try:
            assert len(wire.ask("GET", "/", {}, b"").body) == len(body)
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak_bytes < 1.5 * len(body)


def test_answer_that_comes_before_a_large_body_has_gone_out_is_read() -> None:
    refused = b"HTTP/1.1 412 Precondition Failed\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
    with answering((refused,)) as (wire, _):
        answer = wire.ask("PUT", "/", {"content-length": str(16 << 20)}, bytes(16 << 20))
        assert (answer.status, answer.body) == (412, b"no")
        assert not wire.can_be_kept


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", RemoteDisconnected),
        (b"HTTP/1.1 200", IncompleteRead),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", IncompleteRead),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", BadStatusLine),
        (CHUNKED + b"3\r\nab", IncompleteRead),
        (CHUNKED + b"3\r\nabcde\r\n", IncompleteRead),
        (CHUNKED + b"no number\r\n", BadStatusLine),
        (b"SSH-2.0-OpenSSH\r\n\r\n", BadStatusLine),
        (b"x" * (1 << 18), LineTooLong),
    ],
)  # fmt: skip
def test_what_is_no_whole_answer_is_refused(sent: bytes, expected: type[HTTPException]) -> None:
    with answering((sent,)) as (wire, _), pytest.raises(expected):
        wire.ask("GET", "/", {}, b"")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("store", ("store", 80)),
        ("store:", ("store", 80)),
        ("h:8333", ("h", 8333)),
        ("[::1]:9", ("::1", 9)),
        ("[::1]", ("::1", 80)),
    ],
)
def test_host_of_a_url_is_an_address(host: str, address: tuple[str, int]) -> None:
    assert _address(host) == address
