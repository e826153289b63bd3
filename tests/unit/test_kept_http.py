"""Kept connections: answers are read whole however they come, and what is no answer is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from lakehouse.adapters.kept_http import Broken, KeptConnection, Target, read_answer
from lakehouse.errors import Unavailable
from tests.servers import free_port_block

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=1\r\n[1,2\r\n2\r\n,3\r\n1\r\n]\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (OK, (200, b"{}", False)),
        (CHUNKED, (200, b"[1,2,3]", False)),
        (CHUNKED[:-2] + b"Trailer: a\r\n\r\n", (200, b"[1,2,3]", False)),
        (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"", False)),
        (b"HTTP/1.1 503 X\r\nconnection: CLOSE\r\nCONTENT-LENGTH:0\r\n\r\n", (503, b"", True)),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n1", (200, b"1", True)),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, (200, b"{}", False)),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + CHUNKED, (200, b"[1,2,3]", False)),
    ],
)
def test_answer_is_read_when_it_is_whole_and_not_before(data: bytes, expected: tuple[int, bytes, bool]) -> None:
    assert read_answer(data) == expected
    for length in range(len(data)):
        assert read_answer(data[:length]) is None, data[:length]


def test_answer_without_a_length_ends_with_the_connection() -> None:
    data = b"HTTP/1.1 200 OK\r\n\r\nall of it"
    assert read_answer(data) is None
    assert read_answer(data, is_whole=True) == (200, b"all of it", True)


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a" * (65 << 10),
    ],
)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(Broken):
        read_answer(data)


pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def server(*replies: bytes | None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that gives a reply to each request, breaks the connection for None; what it was asked."""
    asked: list[bytes] = []
    left = list(replies)
    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                asked.append(head + await reader.readexactly(length))
                reply = left.pop(0) if left else None
                if reply is None:
                    break
                writer.write(reply)
                if b"close" in reply:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", asked
        await asyncio.gather(*(task for task in serving if task is not None))


async def test_requests_go_one_after_the_other_over_one_connection() -> None:
    async with server(OK, CHUNKED) as (url, asked):
        connection = KeptConnection(Target(f"{url}/base/", {"Authorization": "Bearer t"}))
        await connection.connect()
        assert (await connection.ask("POST", "/a", b"1"))[:2] == (200, b"{}")
        assert (await connection.ask("DELETE", "/b", b""))[:2] == (200, b"[1,2,3]")
        connection.close()
    host = url.removeprefix("http://").encode()
    assert asked[0] == (
        b"POST /base/a HTTP/1.1\r\nHost: " + host + b"\r\nAuthorization: Bearer t\r\nContent-Length: 1\r\n\r\n1"
    )
    assert asked[1].startswith(b"DELETE /base/b HTTP/1.1\r\n")
    assert "Bearer" not in repr(Target(url, {"Authorization": "Bearer t"}))


async def test_closed_connection_is_opened_again_and_a_broken_one_told() -> None:
    closing = OK.replace(b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\r\nConnection: close")
    async with server(closing, OK, None, OK) as (url, asked):
        connection = KeptConnection(Target(url))
        for _ in range(2):
            assert (await connection.ask("POST", "/a", b""))[0] == 200
        with pytest.raises(Broken, match="the connection broke"):
            await connection.ask("POST", "/a", b"")
        assert (await connection.ask("POST", "/a", b""))[0] == 200
        connection.close()
    assert len(asked) == 4


async def test_wait_that_is_too_long_is_broken_off() -> None:
    async with server(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhalf") as (url, _):
        connection = KeptConnection(Target(url))
        await connection.connect()
        asking = asyncio.create_task(connection.ask("POST", "/a", b""))
        await asyncio.sleep(0.01)
        connection.give_up_before(float("-inf"))
        assert not asking.done()
        connection.give_up_before(float("inf"))
        with pytest.raises(Broken, match="no answer in time"):
            await asking


async def test_nobody_there_is_unavailable_at_first_and_broken_later() -> None:
    url = f"http://127.0.0.1:{free_port_block(1)}"
    with pytest.raises(Unavailable, match=f"nothing answers at {url}"):
        await KeptConnection(Target(url)).connect()
    with pytest.raises(Broken, match="nothing answers"):
        await KeptConnection(Target(url)).ask("POST", "/a", b"")
