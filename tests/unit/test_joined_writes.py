"""Writes of one turn of the loop go out together, in order, and never beyond a bound."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lakehouse_api.joined_writes import JoinedWrites

pytestmark = pytest.mark.anyio


class Wire:
    """A transport that notes what it is told."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def get_write_buffer_size(self) -> int:
        return 7


def joined(wire: Wire, loop: asyncio.AbstractEventLoop) -> Any:
    return JoinedWrites(wire, loop)  # type: ignore[arg-type]


async def test_head_and_body_are_one_write() -> None:
    wire = Wire()
    transport = joined(wire, asyncio.get_running_loop())
    transport.write(b"head ")
    transport.write(b"body")
    assert (wire.written, transport.get_write_buffer_size()) == ([], 7 + 9)
    await asyncio.sleep(0)
    transport.write(b"next")
    await asyncio.sleep(0)
    assert wire.written == [b"head body", b"next"]


async def test_what_is_large_does_not_wait() -> None:
    wire = Wire()
    transport = joined(wire, asyncio.get_running_loop())
    for _ in range(5):
        transport.write(b"x" * (32 << 10))
    assert [len(data) for data in wire.written] == [64 << 10, 64 << 10]
    await asyncio.sleep(0)
    assert sum(map(len, wire.written)) == 5 * (32 << 10)
    transport.write(b"head")
    transport.write(large := b"y" * (100 << 10))
    assert wire.written[-2] == b"head"
    assert wire.written[-1] is large


async def test_close_sends_what_is_held_and_nothing_is_written_after_it() -> None:
    wire = Wire()
    transport = joined(wire, asyncio.get_running_loop())
    transport.write(b"last words")
    transport.close()
    transport.write(b"too late")
    await asyncio.sleep(0)
    assert (wire.written, wire.is_closed) == ([b"last words"], True)
