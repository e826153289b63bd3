"""A connection that ends in the middle of a body is read on for a while, so that the client reads its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lakehouse_api.lingering_close import MOST_BYTES, MOST_S, SILENCE_S, LingeringWrites


class Wire:
    """A transport that notes what it is told, in order."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def write(self, data: bytes) -> None:
        self.told.append(data)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.told.append("end")

    def resume_reading(self) -> None:
        self.told.append("read on")

    def close(self) -> None:
        self.told.append("close")

    def is_closing(self) -> bool:
        return "close" in self.told


class Clock(asyncio.AbstractEventLoop):
    """A loop whose time is set, and whose timers run when it is."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.timers: list[tuple[float, Callable[[], None], asyncio.TimerHandle]] = []

    def time(self) -> float:
        return self.now_s

    def get_debug(self) -> bool:
        return False

    def call_soon(self, *_: Any, **__: Any) -> Any:
        return None

    def call_at(self, when: float, callback: Any, *_: Any, **__: Any) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, (), self)
        self.timers.append((when, callback, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing: cancelled ones are passed over when they are due."""

    def pass_s(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while due := sorted((one for one in self.timers if one[0] <= until_s), key=lambda one: one[0]):
            when, callback, handle = due[0]
            self.timers.remove(due[0])
            self.now_s = max(self.now_s, when)
            if not handle.cancelled():
                callback()
        self.now_s = until_s


def refused(*, is_in_body: bool = True) -> tuple[LingeringWrites, Wire, Clock]:
    """A connection after an answer that ends it."""
    wire, clock = Wire(), Clock()
    writes = LingeringWrites(wire, clock, is_in_body=lambda: is_in_body)  # type: ignore[arg-type]
    writes.write(b"413")
    writes.close()
    return writes, wire, clock


def test_close_between_requests_closes_at_once() -> None:
    writes, wire, _ = refused(is_in_body=False)
    assert wire.told == [b"413", "close"]
    assert writes.is_closing()
    assert not writes.is_lingering


def test_close_in_a_body_sends_the_answer_and_its_end_and_reads_on() -> None:
    writes, wire, clock = refused()
    assert wire.told == [b"413", "end", "read on"]
    assert writes.is_closing()  # for all who would say more
    writes.discard(b"x" * (1 << 20))
    clock.pass_s(SILENCE_S - 0.1)
    assert "close" not in wire.told


def test_silence_closes() -> None:
    writes, wire, clock = refused()
    for _ in range(3):
        clock.pass_s(SILENCE_S - 0.1)
        writes.discard(b"x")
    assert "close" not in wire.told
    clock.pass_s(SILENCE_S)
    assert wire.told[-1] == "close"


def test_a_client_that_never_stops_is_closed_on_after_a_time() -> None:
    writes, wire, clock = refused()
    for _ in range(int(MOST_S)):
        assert "close" not in wire.told
        clock.pass_s(1)
        writes.discard(b"x")
    assert wire.told[-1] == "close"


def test_more_bytes_than_are_thrown_away_close() -> None:
    writes, wire, _ = refused()
    part = bytes(64 << 20)
    for _ in range(MOST_BYTES // len(part)):
        writes.discard(part)
    assert "close" not in wire.told
    writes.discard(b"x")
    assert wire.told[-1] == "close"


@pytest.mark.parametrize("end", ["close", "let_go"])
def test_a_second_close_and_a_connection_that_is_gone_end_it(end: str) -> None:
    writes, wire, clock = refused()
    getattr(writes, end)()
    assert wire.told[-1] == "close"
    clock.pass_s(2 * MOST_S)
    assert wire.told.count("close") == 1
