"""A plain request and its answer on one connection: faults, a stopping server, clients that are slow or gone."""

from __future__ import annotations

import asyncio
import json
import logging
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import uvicorn
from fastapi import APIRouter
from uvicorn.server import ServerState

from lakehouse.errors import Unavailable
from lakehouse_api.access_log import AccessLog
from lakehouse_api.auth import SCOPES, Authenticator, KnownToken
from lakehouse_api.hot_routes import Asked, HotTable
from lakehouse_api.http_protocol import BoundedProtocol, bounded_protocol
from lakehouse_api.metrics import Metrics
from lakehouse_api.middleware_door import Door
from lakehouse_api.short_way import ShortWay
from lakehouse_api.struct_bodies import Body

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class PlainWayBody(msgspec.Struct):
    """What the routes of these tests are asked."""

    number: int = 0


class _NoSocket:
    def getpeername(self) -> tuple[str, int]:
        return ("127.0.0.1", 5000)

    def getsockname(self) -> tuple[str, int]:
        return ("127.0.0.1", 80)

    def fileno(self) -> int:
        raise OSError("there is none")


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"socket": _NoSocket()})
        self.written = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        assert not self.is_closed
        self.written += bytes(data)

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.is_closed = True  # nothing is written after it, as after `close`

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class TimersByHand:
    """A loop whose timers wait for their test."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timers: list[tuple[float, asyncio.Handle]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def call_later(self, delay_s: float, callback: Any, *args: Any) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self._loop)
        self._timers.append((delay_s, handle))
        return handle

    def waiting(self, delay_s: float) -> int:
        return sum(1 for given_s, handle in self._timers if given_s == delay_s and not handle.cancelled())

    def pass_by(self, delay_s: float) -> None:
        """End the timers of this length."""
        due = [handle for given_s, handle in self._timers if given_s == delay_s and not handle.cancelled()]
        self._timers = [timer for timer in self._timers if timer[1] not in due]
        for handle in due:
            handle._run()


class Lines:
    """An event log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    async def append(self, stream: str, line: dict[str, Any], *, durable: bool = True) -> str:
        self.lines.append(line)
        return ""


class Bench:
    """One connection to a few routes; requests that are not plain end up in `layered`."""

    def __init__(self, loop: Any = None) -> None:
        table = HotTable()
        self.gate = asyncio.Event()
        self.layered: list[bytes] = []
        for path, run in (("/echo", self.echo), ("/wait", self.wait), ("/fault", self.fault), ("/busy", self.busy)):
            table.declare(APIRouter(), path, run, body=Body(PlainWayBody), scope="read")
        self.events = Lines()
        self.logged: list[str] = []
        logging.getLogger("lakehouse.access").setLevel(logging.INFO)
        self.access_log = AccessLog(self.logged.append)
        services: Any = SimpleNamespace(metrics=Metrics(), events=self.events, access_log=self.access_log)
        self.metrics: Metrics = services.metrics
        door = Door(Authenticator([KnownToken("ann", _SHA256, SCOPES)]), hosts=["h"], origins=[])
        way = ShortWay(table=table, services=services, door=door, trusted=(), root_path="")
        config = uvicorn.Config(
            self.app,
            http=bounded_protocol(5, way),
            lifespan="off",
            log_config=None,
            interface="asgi3",
            proxy_headers=False,
        )
        config.load()
        self.state = ServerState()
        self.wire = Wire()
        self.protocol: BoundedProtocol = config.http_protocol_class(  # type: ignore[call-arg, assignment]
            config=config, server_state=self.state, app_state={}, _loop=loop or asyncio.get_running_loop()
        )
        self.protocol.connection_made(self.wire)

    async def echo(self, asked: Asked) -> bytes:
        """Answer at once."""
        return b"%d" % asked.body.number

    async def wait(self, asked: Asked) -> bytes:
        """Answer when the gate opens."""
        await self.gate.wait()
        return b"waited"

    async def fault(self, asked: Asked) -> bytes:
        """Fail."""
        raise ZeroDivisionError("a fault of ours")

    async def busy(self, asked: Asked) -> bytes:
        """Refuse."""
        raise Unavailable("too busy\nfor this", retry_after_s=3)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """Take what is not plain."""
        body, is_whole = b"", False
        while not is_whole:
            message = await receive()
            body, is_whole = body + message.get("body", b""), not message.get("more_body")
        self.layered.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"7")]})
        await send({"type": "http.response.body", "body": b"layered"})

    async def sent(self, *parts: bytes) -> list[bytes]:
        """Let parts come, each in a turn of its own; gives what was answered then."""
        for part in parts:
            self.protocol.data_received(part)
            for _ in range(5):
                await asyncio.sleep(0)
        answers, self.wire.written = self.wire.written.split(b"HTTP/1.1 ")[1:], b""
        return answers

    async def line(self) -> dict[str, Any]:
        """The only line of the access log."""
        self.access_log.flush()
        (text,) = "".join(self.logged).splitlines()
        found: dict[str, Any] = json.loads(text)
        return found


_SHA256 = bytes.fromhex("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")  # of `test`


def post(path: str, body: bytes = b'{"number": 7}', fields: str = "") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer test\r\nContent-Length: {len(body)}\r\n{fields}\r\n"
    )
    return head.encode() + body


async def test_plain_request_never_meets_the_application() -> None:
    bench = Bench()
    (answer,) = await bench.sent(post("/echo"))
    assert answer.startswith(b"200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n7")
    assert bench.layered == []
    assert (await bench.line())["status"] == 200
    assert bench.state.total_requests == 1
    assert bench.state.tasks == set()


async def test_everything_that_is_not_plain_meets_it_whole() -> None:
    bench = Bench()
    whole = post("/echo")
    query = post("/echo?a=1")
    for parts in (
        (query[:20], query[20:-5], query[-5:-2], query[-2:]),
        (query[:-13], query[-13:]),
        (query,),
        (post("/other"),),
        (post("/echo", fields="Origin: http://h\r\n"),),
        (whole.replace(b"Bearer test", b"Bearer wrong"),),
        (whole.replace(b"Host: h", b"Host: elsewhere"),),
        (whole.replace(b"POST", b"PUT"),),
    ):
        (answer,) = await bench.sent(*parts)
        assert answer.endswith(b"layered")
    assert bench.layered == [b'{"number": 7}'] * 8
    assert (await bench.sent(whole))[0].endswith(b"7")


def in_pieces(whole: bytes, length: int) -> list[bytes]:
    return [whole[start : start + length] for start in range(0, len(whole), length)]


async def test_body_that_comes_later_and_in_pieces_is_answered_plainly() -> None:
    bench = Bench()
    whole = post("/echo")
    for parts in (
        [whole[:-13], whole[-13:]],
        [whole[:20], whole[20:-5], whole[-5:-2], whole[-2:]],
        *(in_pieces(whole, length) for length in (1, 2, 3, 7, 30)),
    ):
        assert await bench.sent(*parts[:-1]) == []
        (answer,) = await bench.sent(parts[-1])
        assert answer.endswith(b"\r\n\r\n7")
    assert bench.layered == []
    assert bench.state.total_requests == 7
    bench.access_log.flush()
    assert {json.loads(line)["bytes_in"] for line in "".join(bench.logged).splitlines()} == {13}


async def test_pieces_of_many_requests_are_answered_in_their_order() -> None:
    bodies = [b'{"number": %d}' % number for number in range(30)]
    sent = b"".join(post("/echo" if number % 4 else "/other", body) for number, body in enumerate(bodies))
    for length in (1, 5, 97, 150, 400, 1000):
        bench = Bench()
        answers = []
        for part in in_pieces(sent, length):
            answers += await bench.sent(part)
        for _ in range(100):
            answers += await bench.sent(b"")
        # Behind one that is being answered the layers have them, whatever they are.
        assert [answer.rpartition(b"\r\n\r\n")[2] for answer in answers] == [
            b"layered" if body in bench.layered else b"%d" % number for number, body in enumerate(bodies)
        ]
        assert bench.layered == [body for body in bodies if body in bench.layered]
        assert set(bodies[::4]) <= set(bench.layered)


async def test_body_that_does_not_come_soon_is_waited_for_by_the_layers() -> None:
    loop = TimersByHand()
    bench = Bench(loop)
    whole = post("/echo")
    for number, begun in enumerate((whole[:-13], whole[:-4])):
        assert await bench.sent(begun) == []
        loop.pass_by(BoundedProtocol.rest_s)
        await bench.sent()
        assert len(bench.state.tasks) == 1  # they count it, and have a time limit of their own
        assert await bench.sent(whole[len(begun) : -2]) == []
        (answer,) = await bench.sent(whole[-2:])
        assert answer.endswith(b"layered")
        assert bench.layered == [b'{"number": 7}'] * (number + 1)
        assert loop.waiting(BoundedProtocol.rest_s) == 0
    (answer,) = await bench.sent(whole)
    assert answer.endswith(b"\r\n\r\n7")


async def test_time_for_the_rest_is_each_request_s_own_and_takes_one_timer() -> None:
    loop = TimersByHand()
    bench = Bench(loop)
    whole = post("/echo")
    for _ in range(3):
        assert len(await bench.sent(whole[:-3], whole[-3:])) == 1
    assert await bench.sent(whole[:-3]) == []
    assert loop.waiting(BoundedProtocol.rest_s) == 1
    loop.pass_by(BoundedProtocol.rest_s)  # it was begun for the first of them
    assert loop.waiting(BoundedProtocol.rest_s) == 1
    (answer,) = await bench.sent(whole[-3:])
    assert answer.endswith(b"\r\n\r\n7")
    loop.pass_by(BoundedProtocol.rest_s)
    assert loop.waiting(BoundedProtocol.rest_s) == 0
    assert bench.layered == []


async def test_large_body_is_left_to_the_layers_and_their_flow_control() -> None:
    bench = Bench()
    body = b'{"number": 7}' + b" " * 100_000
    whole = post("/echo", body)
    assert await bench.sent(whole[:300]) == []
    assert len(bench.state.tasks) == 0
    assert await bench.sent(whole[300:70_000]) == []
    assert len(bench.state.tasks) == 1
    (answer,) = await bench.sent(*in_pieces(whole[70_000:], 10_000))
    assert answer.endswith(b"layered")
    assert bench.layered == [body]
    (answer,) = await bench.sent(whole)
    assert answer.endswith(b"\r\n\r\n7")
    (answer,) = await bench.sent(*in_pieces(post("/echo", body[:65_000]), 10_000))
    assert answer.endswith(b"\r\n\r\n7")


async def test_client_that_leaves_in_the_middle_of_a_body_is_logged() -> None:
    loop = TimersByHand()
    bench = Bench(loop)
    await bench.sent(post("/echo")[:-4])
    bench.protocol.connection_lost(None)
    assert loop.waiting(BoundedProtocol.rest_s) == 0
    for _ in range(5):
        await asyncio.sleep(0)
    assert bench.wire.written == b""
    line = await bench.line()
    assert (line["status"], line["bytes_in"]) == (400, 9)
    assert bench.events.lines[0]["status"] == "refused"
    assert bench.metrics.in_flight == 0
    assert bench.state.tasks == set()
    assert bench.state.connections == set()


async def test_stopping_server_finishes_a_request_whose_body_comes() -> None:
    bench = Bench()
    whole = post("/echo")
    assert len(await bench.sent(whole)) == 1
    assert await bench.sent(whole[:-4]) == []
    bench.protocol.shutdown()
    assert not bench.wire.is_closed
    (answer,) = await bench.sent(whole[-4:])
    assert answer.endswith(b"layered")
    assert b"\r\nconnection: close\r\n" in answer
    assert bench.wire.is_closed


async def test_silence_behind_a_request_whose_body_came_later_has_an_end() -> None:
    loop = TimersByHand()
    bench = Bench(loop)
    whole = post("/echo")
    idle_s = bench.protocol.timeout_keep_alive
    assert len(await bench.sent(whole)) == 1
    assert await bench.sent(whole[:-4]) == []
    loop.pass_by(idle_s)
    assert not bench.wire.is_closed  # it is not silent, but slow
    assert len(await bench.sent(whole[-4:])) == 1
    assert loop.waiting(idle_s) == 1


async def test_request_behind_one_that_waits_is_answered_after_it() -> None:
    bench = Bench()
    assert await bench.sent(post("/wait") + post("/echo") + post("/echo")) == []
    bench.gate.set()
    first, second, third = await bench.sent(b"")
    assert first.endswith(b"waited")
    assert second.endswith(third[-7:])
    (last,) = await bench.sent(post("/echo"))
    assert last.endswith(b"7")


async def test_fault_is_500_without_details_and_the_connection_stays(capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench()
    (answer,) = await bench.sent(post("/fault", fields="X-Request-Id: my-id\r\n"))
    assert answer.startswith(b"500 ")
    assert b"ZeroDivision" not in answer
    assert b"my-id" in answer
    assert (await bench.line())["status"] == 500
    assert bench.events.lines[0]["status"] == "cancelled"
    (again,) = await bench.sent(post("/echo"))
    assert again.startswith(b"200 ")


async def test_refusal_is_a_problem_document_with_its_headers() -> None:
    bench = Bench()
    (answer,) = await bench.sent(post("/busy"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"503 ")
    assert b"\r\nretry-after: 3\r\n" in head
    assert head.count(b"content-length") == 1
    assert json.loads(body)["instance"] == "/busy"
    assert bench.events.lines[0]["status"] == "failed"


async def test_stopping_server_answers_503_and_closes() -> None:
    bench = Bench()
    assert await bench.sent(post("/wait")) == []
    bench.protocol.shutdown()
    assert not bench.wire.is_closed  # it is waited for
    (task,) = bench.state.tasks
    task.cancel()
    (answer,) = await bench.sent(b"")
    assert answer.startswith(b"503 ")
    assert b"the server is stopping" in answer
    assert b"\r\nconnection: close\r\n" in answer
    assert bench.wire.is_closed
    assert bench.metrics.in_flight == 0


async def test_answer_waits_for_a_slow_client() -> None:
    bench = Bench()
    bench.protocol.pause_writing()
    assert await bench.sent(post("/echo")) == []
    assert bench.metrics.in_flight == 1
    bench.protocol.resume_writing()
    (answer,) = await bench.sent(b"")
    assert answer.endswith(b"7")


async def test_stopping_server_closes_on_a_client_that_takes_nothing() -> None:
    bench = Bench()
    bench.protocol.pause_writing()
    await bench.sent(post("/echo"))
    (task,) = bench.state.tasks
    task.cancel()
    assert await bench.sent(b"") == []
    assert bench.wire.is_closed
    assert bench.metrics.in_flight == 0
    bench.protocol.connection_lost(None)


async def test_client_that_has_left_gets_nothing_and_is_logged() -> None:
    bench = Bench()
    await bench.sent(post("/wait"))
    bench.protocol.connection_lost(None)
    bench.gate.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert bench.wire.written == b""
    assert (await bench.line())["status"] == 200
    assert bench.metrics.in_flight == 0
    assert bench.state.tasks == set()


async def test_finished_request_is_not_kept_by_its_silent_connection() -> None:
    bench = Bench()
    await bench.sent(post("/echo", b'{"number": 7}' + b" " * 10_000))
    assert bench.protocol.cycle is not None
    assert len(bench.protocol.cycle.body) == 0


async def test_number_of_thousands_of_digits_is_a_length_like_others() -> None:
    bench = Bench()
    (answer,) = await bench.sent(post("/echo").replace(b"Length: ", b"Length: " + b"0" * 5000))
    assert answer.endswith(b"\r\n\r\n7")


UPGRADE = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARA\r\n"
WEBSOCKET = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"


@pytest.mark.parametrize("fields", [UPGRADE, WEBSOCKET])
async def test_wish_for_another_protocol_is_not_granted_and_the_body_belongs_to_its_request(fields: str) -> None:
    bench = Bench()
    inner = post("/echo", b'{"number": 1}')
    for whole, told in (
        (post("/echo", fields=fields), b"\r\n\r\n7"),
        (post("/other", inner, fields=fields), b"layered"),
    ):
        for parts in ((whole,), (whole[:-1], whole[-1:]), (whole[:40], whole[40:-20], whole[-20:])):
            (answer,) = await bench.sent(*parts)
            assert answer.endswith(told)
    assert bench.layered == [inner, inner, inner]
    answers = await bench.sent(post("/echo", fields=fields) * 500 + post("/echo"))
    assert answers[0].endswith(b"\r\n\r\n7")
    for _ in range(3000):
        answers += await bench.sent(b"") if len(answers) < 501 else []
    assert len(answers) == 501


async def test_connect_is_for_proxies_and_ends_what_is_parsed() -> None:
    bench = Bench()
    connect = b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n"
    (answer,) = await bench.sent(connect + post("/echo"))
    assert answer.startswith(b"501 Not Implemented\r\n")
    assert b"no proxy" in answer
    assert bench.wire.is_closed


@pytest.mark.parametrize("path", ["/echo", "/other"])  # below ASGI and through it
@pytest.mark.parametrize("fields", ["Host: h\r\n", "Host: other\r\n", "host: h\r\nHOST: h\r\n"])
async def test_two_hosts_are_refused_whichever_way_a_request_goes(path: str, fields: str) -> None:
    bench = Bench()
    (answer,) = await bench.sent(post(path, fields=fields))
    assert answer.startswith(b"400 Bad Request\r\n")
    assert b"one Host header" in answer
    assert bench.wire.is_closed
    assert bench.layered == []


async def test_host_may_be_missing_in_http_1_0_alone() -> None:
    for path in ("/echo", "/other"):
        (answer,) = await Bench().sent(post(path).replace(b"Host: h\r\n", b""))
        assert answer.startswith(b"400 Bad Request\r\n")
    old = Bench()
    (answer,) = await old.sent(post("/other").replace(b"Host: h\r\n", b"").replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert answer.endswith(b"layered")


async def until_closed(bench: Bench) -> bytes:
    async with asyncio.timeout(60):
        while not bench.wire.is_closed:
            await asyncio.sleep(0.002)
    return bench.wire.written


async def test_head_that_does_not_end_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "head_s", 0.05)
    bench = Bench()
    assert len(await bench.sent(post("/echo"))) == 1
    whole = post("/echo")
    for byte in whole[:20]:  # each of them is news, and yet the head has no end
        await bench.sent(bytes([byte]))
    told = await until_closed(bench)
    assert told.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"\r\nconnection: close\r\n" in told
    assert json.loads(told.partition(b"\r\n\r\n")[2])["status"] == 408


async def test_connection_that_says_nothing_is_closed_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "head_s", 0.02)
    assert await until_closed(Bench()) == b""


async def test_time_for_a_head_does_not_run_for_bodies_and_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "head_s", 0.02)
    bench = Bench()
    assert await bench.sent(post("/wait")) == []
    await asyncio.sleep(0.06)
    bench.gate.set()
    assert len(await bench.sent(b"")) == 1
    slow = post("/echo")
    assert await bench.sent(slow[:-1]) == []
    await asyncio.sleep(0.06)
    (answer,) = await bench.sent(slow[-1:])
    assert answer.startswith(b"200 ")
    assert not bench.wire.is_closed
