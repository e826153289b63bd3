"""One HTTP connection: uvicorn's, with limits on headers and silence, and a fast path for plain requests.

The parser gathers headers before any layer is asked, so their size is limited here, where the bytes arrive.

Belongs here: what a connection may cost. Not here: bodies (see middleware_body.py, spool.py), who is served (see
middleware_door.py), plain requests and their answers (see plain_way.py), refused uploads (see lingering_close.py).
"""

from __future__ import annotations

import asyncio

import httptools
import structlog
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lakehouse_api.auth import Principal
from lakehouse_api.head_errors import MAX_HEAD_BYTES, check_head, no_http, too_large, too_late
from lakehouse_api.limits import IDLE_TIMEOUT_S
from lakehouse_api.lingering_close import LingeringWrites
from lakehouse_api.plain_way import PlainExchange
from lakehouse_api.short_way import ShortWay
from lakehouse_api.stalled_clients import StallWatch
from lakehouse_api.upgrade_head import without_upgrade

_log = structlog.get_logger("lakehouse.connection")


class BoundedProtocol(HttpToolsProtocol):
    """A connection with limits on its headers and its silence, which answers plain requests without ASGI.

    `client_stall_s` is how long a client may read nothing of an answer that waits for it, `head_s` how long a head may
    take from its first byte, or the first head from the start of the connection. Requests that `short_way` calls plain
    are answered without uvicorn, unless their body takes longer than `rest_s` (at most twice that) or 64 KiB.
    """

    joined: LingeringWrites
    _stall: StallWatch

    client_stall_s = IDLE_TIMEOUT_S
    head_s = IDLE_TIMEOUT_S
    rest_s = 0.5
    short_way: ShortWay | None = None

    # Bytes since the last complete head, part of a body or request: what the parser may be holding.
    _gathered_bytes = 0
    _is_in_head = True
    # A plain request whose body is still coming, and the timer that checks whether it has come.
    _plain: PlainExchange | None = None
    _rest: asyncio.TimerHandle | None = None
    # The headers that authenticated the last plain request, and its principal.
    _let_in: tuple[bytes | None, bytes | None, Principal] | None = None
    _idle_since_s: float | None = None
    _idle: asyncio.TimerHandle | None = None
    # The timer that runs while a head is incomplete.
    _head: asyncio.TimerHandle | None = None
    # The head of a request that asked for another protocol, without its `Upgrade` header; None otherwise.
    _head_again: bytes | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, with a transport that joins the parts of an answer."""
        self.joined = LingeringWrites(transport, self.loop, is_in_body=lambda: not self._is_in_head)
        super().connection_made(self.joined)  # type: ignore[arg-type]
        self._stall = StallWatch(self.transport, self.loop, client=self.client, client_stall_s=self.client_stall_s)
        self._head = self.loop.call_later(self.head_s, self._end_without_head)

    def eof_received(self) -> None:
        """The client says no more, and may still listen: the transport closes after this."""
        self.transport.flush()  # type: ignore[attr-defined]
        super().eof_received()

    def data_received(self, data: bytes) -> None:
        """Parse what came, and stop at the limit."""
        if self.joined.is_lingering:
            self.joined.discard(data)
            return
        if self._gathered_bytes + len(data) <= MAX_HEAD_BYTES:
            self._gathered_bytes += len(data)
            self._parse(data)
        else:
            self._parse_to_the_limit(data)
        if self._plain is not None:
            self._await_rest(self._plain)
        if self._is_in_head and self._head is None and (self.cycle is None or self.cycle.response_complete):
            self._head = self.loop.call_later(self.head_s, self._end_without_head)

    def _parse(self, data: bytes) -> None:
        """Parse; a request to upgrade to another protocol, such as HTTP/2, is handled as if it had not asked.

        After such a head the parser would take all that follows for the other protocol, even a body, so the head is
        parsed again without the `Upgrade` header.
        """
        self._unset_keepalive_if_required()
        parts: list[bytes | memoryview] = [data]
        try:
            while parts:
                part = parts.pop()
                try:
                    self.parser.feed_data(part)
                except httptools.HttpParserUpgrade as wish:
                    if self._head_again is not None:
                        parts += [memoryview(part)[wish.args[0] :], self._head_again]
                        self._head_again = None
        except httptools.HttpParserError as error:
            is_begun = getattr(self.cycle, "response_started", False)
            why = f"what came is not HTTP/1 ({error.__context__ or error})"
            self._refuse(why, no_http(bytes(data), error), is_answering=is_begun)

    def _parse_to_the_limit(self, data: bytes) -> None:
        while data and not self.transport.is_closing():
            room = MAX_HEAD_BYTES - self._gathered_bytes if self._is_in_head else len(data)
            self._gathered_bytes += min(room, len(data))
            self._parse(data[:room])
            data = data[room:]
            # Trailers are headers too, and come with no part of the body.
            if self._gathered_bytes > MAX_HEAD_BYTES or (data and self._gathered_bytes == MAX_HEAD_BYTES):
                self._refuse("its headers do not end", too_large(), is_answering=self.cycle is not None)

    def on_message_begin(self) -> None:
        self.url = b""  # uvicorn would make the scope here, which few requests need
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        self._gathered_bytes = 0
        self._is_in_head = False
        if self._head is not None:
            self._head.cancel()
            self._head = None
        check_head(self.parser.get_method(), self.parser.get_http_version(), self.headers)
        if self.parser.should_upgrade():
            self._head_again = without_upgrade(self.parser, self.url, self.headers)
            return
        self._plain = self._begin_plainly()
        if self._plain is None:
            self._begin_cycle()

    def on_body(self, body: bytes) -> None:
        self._gathered_bytes = 0
        if self._plain is not None:
            self._plain.body += body
        else:
            HttpToolsProtocol.on_body(self, body)

    def on_message_complete(self) -> None:
        self._gathered_bytes = 0
        self._is_in_head = True
        if self._head_again is not None:
            return
        if self._plain is not None:
            self._answer_plainly(self._plain)
        else:
            HttpToolsProtocol.on_message_complete(self)

    def _begin_plainly(self) -> PlainExchange | None:
        """A plain request whose turn it is; None for all others."""
        way, parser = self.short_way, self.parser
        route = None if way is None else way.routes.get(self.url)
        if way is None or route is None or self.expect_100_continue or self.limit_concurrency is not None:
            return None
        if parser.get_method() != b"POST" or parser.get_http_version() != "1.1":
            return None
        is_in_turn = self.cycle is None or self.cycle.response_complete
        headers = dict(reversed(self.headers))  # the first of a name counts
        principal = self._principal(way, headers) if is_in_turn and way.is_plain(headers, self.client) else None
        if principal is None:
            return None
        return PlainExchange(way, self, route, headers, principal, keep_alive=parser.should_keep_alive())

    def _principal(self, way: ShortWay, headers: dict[bytes, bytes]) -> Principal | None:
        """Who is asking; the same headers on the same connection are the same."""
        host, authorization = headers.get(b"host"), headers.get(b"authorization")
        if self._let_in is not None and self._let_in[0] == host and self._let_in[1] == authorization:
            return self._let_in[2]
        principal = way.enter(headers, self.client)
        self._let_in = None if principal is None else (host, authorization, principal)
        return principal

    def _begin_cycle(self) -> None:
        """Hand a request to uvicorn once its head is there."""
        url, headers, is_expecting = self.url, self.headers, self.expect_100_continue
        HttpToolsProtocol.on_message_begin(self)
        self.url, self.expect_100_continue = url, is_expecting
        self.headers += headers  # the scope holds this list
        HttpToolsProtocol.on_headers_complete(self)

    def _answer_plainly(self, plain: PlainExchange) -> None:
        self._plain = None
        self.cycle = plain  # type: ignore[assignment]
        plain.start(self.loop)

    def _await_rest(self, plain: PlainExchange) -> None:
        """Wait for the body, which many clients send in a packet of its own right after the head."""
        if len(plain.body) > HIGH_WATER_LIMIT:
            self._leave_the_plain_way(plain)
        elif self._rest is None:
            self._rest = self.loop.call_later(self.rest_s, self._look_for_rest, plain)

    def _look_for_rest(self, awaited: PlainExchange) -> None:
        """Stop waiting for a body that was awaited already at the last check; one timer serves many requests."""
        self._rest = None
        if self._plain is awaited:
            self._leave_the_plain_way(awaited)
        elif self._plain is not None:
            self._await_rest(self._plain)

    def _leave_the_plain_way(self, plain: PlainExchange) -> None:
        """Hand a request whose body is not complete to uvicorn."""
        self._plain = None
        self._begin_cycle()
        if plain.body:
            HttpToolsProtocol.on_body(self, plain.body)

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers of every answer, with the date of this second."""
        return self.server_state.default_headers

    def on_response_complete(self) -> None:
        """Go on with the next request; without one the connection ends when it has been idle for too long."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since_s = self.loop.time()
        if self._idle is None:  # one timer for many requests, which checks how long the connection was idle
            self._idle = self.loop.call_later(self.timeout_keep_alive, self._end_if_idle)

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since_s = None

    def _end_if_idle(self) -> None:
        self._idle = None
        if self._idle_since_s is None:
            return
        left_s = self._idle_since_s + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._idle = self.loop.call_later(left_s, self._end_if_idle)
        else:
            self.timeout_keep_alive_handler()

    def _refuse(self, why: str, answer: bytes, *, is_answering: bool) -> None:
        """Say why, unless another answer is on its way, and close."""
        if self.transport.is_closing():
            return
        _log.warning(f"connection closed: {why}", client=self.client)
        if is_answering and not self.cycle.response_complete:
            self.transport.abort()
            return
        self.transport.write(answer)
        self.transport.close()

    def _end_without_head(self) -> None:
        """Close the connection of a client whose head does not end, or that sends nothing at all."""
        self._head = None
        if self.transport.is_closing():
            return
        if self._gathered_bytes:
            self.transport.write(too_late(self.head_s))
        self.transport.close()

    def pause_writing(self) -> None:
        """The client is slower than its answer."""
        super().pause_writing()
        self._stall.begin()

    def resume_writing(self) -> None:
        """The client has taken what waited."""
        self._stall.end()
        super().resume_writing()

    def shutdown(self) -> None:
        """The server stops: what has begun is finished, and the connection then ends."""
        if self._plain is not None:
            self._leave_the_plain_way(self._plain)
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; the code that writes its answer is told."""
        self._stall.end()
        self.joined.let_go()
        for timer in (self._idle, self._head, self._rest):
            if timer is not None:
                timer.cancel()
        self._idle = self._head = self._rest = None
        if self._plain is not None:
            # It is answered by the part of its body that came, to nobody, so that it is logged as on the other paths.
            self._answer_plainly(self._plain)
        super().connection_lost(exc)


def bounded_protocol(client_stall_s: float, short_way: ShortWay | None = None) -> type[BoundedProtocol]:
    """The protocol for uvicorn's configuration, which makes one per connection."""
    return type("BoundedProtocol", (BoundedProtocol,), {"client_stall_s": client_stall_s, "short_way": short_way})
